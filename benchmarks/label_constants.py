"""Does a constant of `gpt4image.label.weigh` decide anything? Share right with each halved and doubled.

    python benchmarks/label_constants.py fashion-mnist:1k WORK --prompts blind

Takes what `labels.py` takes. A line a constant: the value, and for half and twice of it the largest change of the mean
share right among the situations, with the situation's name. Use other draws than the tables of results do.
"""

import argparse
import sys
from typing import Any

import numpy as np
from label_situations import World, make_situation
from labels import add_sources, load_world

from gpt4image.label.weigh import weigh

PACKAGE = "gpt4image.label.weigh"
CONSTANTS = {
    "calibration": ("LEAST_LABELS", "NO_LEAK", "USUAL_LEAK"),
    "channel": ("CLEAN", "LEAST_COUNT", "NUM_ROUNDS"),
    "compete": ("PRESUMPTION", "SIGHT_PRESUMPTION", "LEAST_LABELS_OF_NOISE", "SHARPENING", "FIRST_RATE"),
    "first_belief": ("TEMPERATURE", "NUM_COMPONENTS", "NUM_ASSUMED"),
    "hypothesis": ("CHOOSING_ROUNDS", "AGREEMENT"),
    "pick_table": ("NUM_ASSUMED", "LEAST_THIRD", "STRENGTH"),
    "pool": ("SPREAD", "LARGEST"),
    "prepare": ("MOST_COMPONENTS",),
    "regression": ("BIAS_PENALTY", "SHRINKAGE"),
}
SITUATIONS = ("none", "10", "mix10", "u20", "s20", "a20", "clean+both30")


def set_constant(module: str, name: str, value: Any) -> None:
    """Also where another module of the package has imported it by name."""
    before = getattr(sys.modules[f"{PACKAGE}.{module}"], name)
    for path, one in list(sys.modules.items()):
        if path.startswith(PACKAGE) and getattr(one, name, None) is before:
            setattr(one, name, value)


def measure(world: World, situations: list[str], seeds: range) -> dict[str, float]:
    """Share right in each situation, in percent, mean over the draws."""
    return {
        name: float(
            np.mean([100 * (weigh(make_situation(world, name, s), s).classes[:, 0] == world.y).mean() for s in seeds])
        )
        for name in situations
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sources(parser)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--situations", nargs="+", default=list(SITUATIONS))
    parser.add_argument("--constants", nargs="+", help="names; all if not given")
    arguments = parser.parse_args()
    world, seeds = load_world(arguments), range(arguments.first_seed, arguments.first_seed + arguments.draws)
    usual = measure(world, arguments.situations, seeds)
    print(
        f"{arguments.images}, draws {list(seeds)}: " + ", ".join(f"{k} {v:.1f}" for k, v in usual.items()), flush=True
    )
    for module, names in CONSTANTS.items():
        for name in names:
            if arguments.constants and name not in arguments.constants:
                continue
            value = getattr(sys.modules[f"{PACKAGE}.{module}"], name)
            cells = []
            for factor in (0.5, 2):
                other = max(1, round(value * factor)) if isinstance(value, int) else value * factor
                set_constant(module, name, other)
                found = measure(world, arguments.situations, seeds)
                set_constant(module, name, value)
                change = {key: found[key] - usual[key] for key in found}
                most = max(change, key=lambda key: abs(change[key]))
                cells.append(f"{other:g}: {change[most]:+.1f} ({most})")
            print(f"{module}.{name} {value:g} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()

"""Does a constant of `gpt4image.label.weigh` decide anything? Share right with each halved and doubled.

    python benchmarks/label_constants.py fashion-mnist:1k WORK --prompts blind

Takes what `labels.py` takes. A line a constant: the value, and for half and twice of it the largest change of the mean
share right among the situations, with the situation's name; of a share above one half, what it leaves to 1 is halved
and doubled, and of several values each. `open` is the AUROC, in percent, of images of three left-out classes. Use
other draws than the tables of results do.
"""

import argparse
import sys
from typing import Any

import numpy as np
from label_situations import World, make_situation
from labels import add_sources, find_open, load_world

from gpt4image.label.weigh import weigh

PACKAGE = "gpt4image.label.weigh"
CONSTANTS = {
    "calibration": ("LEAST_LABELS", "NO_LEAK", "USUAL_LEAK"),
    "channel": ("CLEAN", "USUAL", "SPREAD", "STRENGTHS", "LEAST_COUNT", "NUM_ROUNDS"),
    "compete": (
        "PRESUMPTION",
        "SIGHT_PRESUMPTION",
        "AGREEMENT_OF_STARTS",
        "CLEAR",
        "MOST_DISAGREED",
        "LEAST_LABELS_OF_NOISE",
        "LEAST_RIGHT",
        "SHARPENING",
        "FIRST_RATE",
        "JUDGED_ROUNDS",
    ),
    "first_belief": ("TEMPERATURE", "NUM_BALANCING", "NUM_COMPONENTS", "NUM_ITERATIONS", "NUM_ASSUMED", "PICK_RIGHT"),
    "hypothesis": (
        "CHOOSING_ROUNDS",
        "SETTLED",
        "MOST_ROUNDS",
        "MOST_ROUNDS_WITHOUT_PICKS",
        "SHARPNESSES",
        "AGREEMENT",
    ),
    "pick_table": ("USUAL_ACCURACY", "NUM_ASSUMED", "LEAST_THIRD", "STRENGTH"),
    "pool": ("USUAL_WEIGHTS", "SPREAD", "LARGEST"),
    "prepare": ("MOST_COMPONENTS",),
    "regression": ("PENALTIES", "BIAS_PENALTY", "SHRINKAGE", "MAX_ITERATIONS", "TOLERANCE"),
    "strangeness": ("NUM_COMPONENTS", "SHRINKAGE", "MISSING_IF_NONE", "LEAST_KNOWN"),
}
SITUATIONS = ("none", "10", "mix10", "u20", "s20", "a20", "clean+both30", "open")


def set_constant(module: str, name: str, value: Any) -> None:
    """Also where another module of the package has imported it by name, but not where one has its own of that name."""
    before = getattr(sys.modules[f"{PACKAGE}.{module}"], name)
    others = {f"{PACKAGE}.{other}" for other, names in CONSTANTS.items() if name in names and other != module}
    for path, one in list(sys.modules.items()):
        if path.startswith(PACKAGE) and path not in others and getattr(one, name, None) is before:
            setattr(one, name, value)


def measure(world: World, situations: list[str], seeds: range) -> dict[str, float]:
    """Share right in each situation, or the AUROC of `open`, in percent, mean over the draws."""

    def find(name: str, seed: int) -> float:
        if name == "open":
            return 100 * find_open(world, seed)["AUROC"]
        return 100 * float((weigh(make_situation(world, name, seed), seed).classes[:, 0] == world.y).mean())

    return {name: float(np.mean([find(name, seed) for seed in seeds])) for name in situations}


def scale(value: Any, factor: float) -> Any:
    """The value times the factor; of a share above one half, what it leaves to 1."""
    if isinstance(value, dict):
        return {key: scale(one, factor) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(scale(one, factor) for one in value)
    if isinstance(value, int):
        return max(1, round(value * factor))
    return 1 - (1 - value) * factor if 0.5 < value < 1 else value * factor


def tell(value: Any) -> str:
    """The number, or the numbers."""
    several = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
    return ", ".join(f"{one:g}" for one in several)


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
                other = scale(value, factor)
                set_constant(module, name, other)
                found = measure(world, arguments.situations, seeds)
                set_constant(module, name, value)
                change = {key: found[key] - usual[key] for key in found}
                most = max(change, key=lambda key: abs(change[key]))
                cells.append(f"{tell(other)}: {change[most]:+.1f} ({most})")
            print(f"{module}.{name} {tell(value)} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()

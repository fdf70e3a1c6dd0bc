"""Which share of images has its class right after weighing, beside what people do for it today?

    gpt4image describe fashion-mnist:1k WORK --describer replay --file DESCRIPTIONS --field blind pick pick_sure
    gpt4image embed WORK
    python benchmarks/labels.py fashion-mnist:1k WORK

The labels that the image set gives are taken for the truth and hidden or spoilt on purpose (`label_situations`).
Tables: share right (`share`), wrong labels ranked (`errors`, average precision), images of three classes left out
(`open`), classes of 1:20 (`tail`), two classes only (`two`, with --pairs). A line is the mean over the draws.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from label_peers import find_all, rank_errors, say_missing
from label_situations import World, keep, make_situation, take

from gpt4image.label.weigh import Evidence, weigh
from gpt4image.label.weigh.evidence import STATES

SHARE = [
    "none",
    "1",
    "3",
    "10",
    "half10",
    "mix10",
    "clean",
    "u20",
    "u40",
    "n20",
    "n40",
    "s20",
    "s40",
    "t20",
    "a20",
    "a40",
]
SHARE += ["clean+texts30", "clean+picks30", "clean+both30", "clean+alike"]
NOISE = ["u20", "u40", "n20", "n40", "s20", "t20", "a20", "a40"]
TWO = ["none", "3", "10", "clean", "u20", "u40"]
TABLES = ("share", "errors", "open", "tail", "two")
WITNESSES = ("picks", "texts", "images")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """What `load_world` reads."""
    parser.add_argument("images", help="a folder, a list, or fashion-mnist:1k")
    parser.add_argument("work", type=Path, help="with descriptions, picks and embeddings")
    parser.add_argument("--witnesses", nargs="+", choices=WITNESSES, default=list(WITNESSES))
    parser.add_argument("--prompts", nargs="*", default=[], help="of the texts")
    parser.add_argument("--picks", nargs="*", default=[], help="prompts of the picks")
    parser.add_argument("--picked", action="store_true", help="only images that have a pick")
    parser.add_argument("--class-names", type=Path)
    parser.add_argument("--input-size", type=int, default=160, help="of the image features, in pixels")


def load_world(arguments: argparse.Namespace) -> World:
    """Everything that the label stage gathers, and the true labels; only picked images with --picked."""
    from gpt4image.label.collect import collect
    from gpt4image.label.settings import LabelSettings

    settings = LabelSettings(
        arguments.images,
        arguments.work,
        prompts=tuple(arguments.prompts),
        picks=tuple(arguments.picks),
        class_names=arguments.class_names,
        input_size=arguments.input_size,
    )
    collected = collect(settings)
    evidence = collected.evidence
    if "picks" not in arguments.witnesses:
        evidence = replace(evidence, picks=())
    if "texts" not in arguments.witnesses:
        evidence = replace(evidence, texts=())
    world = World(collected.images.labels, tuple(collected.images.classes), evidence)
    chosen = world.y >= 0
    if arguments.picked:
        chosen &= evidence.picks[0].first >= 0
    return take(world, np.flatnonzero(chosen), np.unique(world.y[chosen]))


def hear(evidence: Evidence, witnesses: list[str]) -> Evidence:
    """Image features serve to make situations also where they are no witness."""
    return evidence if "images" in witnesses else replace(evidence, images=None)


def print_row(name: str, row: dict[str, list[float]], digits: int = 1, more: str = "") -> None:
    cells = ", ".join(f"{key} {np.mean(values):.{digits}f}" for key, values in row.items())
    print(f"{name:15} {cells}{more}", flush=True)


def tell_shares(world: World, situations: list[str], seeds: range, witnesses: list[str], peers: bool) -> None:
    for name in situations:
        row: dict[str, list[float]] = {}
        overruled, seconds = [], []
        for seed in seeds:
            evidence = hear(make_situation(world, name, seed), witnesses)
            start_s = time.perf_counter()
            weighed = weigh(evidence, seed)
            seconds.append(time.perf_counter() - start_s)
            overruled.append(100 * float((weighed.states == STATES.index("overruled")).mean()))
            found = {"weighed": weighed.classes[:, 0], **(find_all(evidence, seed) if peers else {})}
            for key, named in found.items():
                row.setdefault(key, []).append(100 * float((named == world.y).mean()))
        best = max((np.mean(values) for key, values in row.items() if key != "weighed"), default=np.nan)
        ahead = f"{np.mean(row['weighed']) - best:+.1f}, " if len(row) > 1 else ""
        more = f" | {ahead}overruled {np.mean(overruled):.2f}, {np.mean(seconds):.1f} s"
        print_row(name, row, more=more)


def tell_errors(world: World, situations: list[str], seeds: range) -> None:
    from sklearn.metrics import average_precision_score

    for name in situations:
        row: dict[str, list[float]] = {}
        for seed in seeds:
            evidence = make_situation(world, name, seed)
            wrong = evidence.given != world.y
            ranked = {"weighed": weigh(evidence, seed).doubt}
            ranked["by images only"] = weigh(replace(evidence, picks=(), texts=()), seed).doubt
            for key, doubt in {**ranked, **rank_errors(evidence, seed)}.items():
                row.setdefault(key, []).append(float(average_precision_score(wrong, doubt)))
        print_row(name, row, digits=3)


def find_open(world: World, seed: int) -> dict[str, float]:
    """How images of three left-out classes are told from the others, with ten labels of each class that is left."""
    from sklearn.metrics import roc_auc_score

    out = np.random.default_rng([seed, 3]).choice(len(world.classes), 3, replace=False)
    rest = np.setdiff1d(np.arange(len(world.classes)), out)
    known = take(world, np.arange(len(world.y)), rest)
    strange, given = known.y < 0, keep(known.y, 10, seed)
    weighed = weigh(replace(known.evidence, given=given), seed)
    hidden, is_open = given < 0, weighed.states == STATES.index("open")
    return {
        "AUROC": float(roc_auc_score(strange[hidden], weighed.reliability["strangeness"][hidden])),
        "open of them %": 100 * float(is_open[strange].mean()),
        "open of others %": 100 * float(is_open[~strange & hidden].mean()),
    }


def tell_open(world: World, seeds: range) -> None:
    rows = [find_open(world, seed) for seed in seeds]
    print_row("left out", {key: [row[key] for row in rows] for key in rows[0]}, digits=3)


def tell_tail(world: World, seeds: range) -> None:
    for count in (0, 3, 10):
        row: dict[str, list[float]] = {}
        for seed in seeds:
            rng, classes = np.random.default_rng([seed, 4]), np.arange(len(world.classes))
            sizes = np.bincount(world.y).min() * 20.0 ** (-classes / (len(classes) - 1))
            sizes = np.maximum(np.round(sizes), 2).astype(int)
            order = rng.permutation(classes)
            rows = [rng.permutation(np.flatnonzero(world.y == c))[:n] for c, n in zip(order, sizes, strict=True)]
            tail = take(world, np.concatenate(rows), classes)
            weighed = weigh(replace(tail.evidence, given=keep(tail.y, count, seed)), seed)
            right, truth = weighed.classes[:, 0] == tail.y, np.bincount(tail.y) / len(tail.y)
            small = np.isin(tail.y, order[sizes <= 4])
            values = {
                "right": 100 * float(right.mean()),
                "error of shares": 100 * float(np.abs(np.array(weighed.reliability["shares"]) - truth).mean()),
                "smallest right": 100 * float(right[small].mean()) if small.any() else np.nan,
            }
            for key, value in values.items():
                row.setdefault(key, []).append(value)
        print_row(f"{count} a class", row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sources(parser)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--situations", nargs="+", help="of the table share; those of all labels also of errors")
    parser.add_argument("--pairs", nargs="*", default=[], metavar="ONE,OTHER", help="classes of the table two")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="only what weighing says")
    arguments = parser.parse_args()
    if arguments.peers:
        say_missing()
    world, seeds = load_world(arguments), range(arguments.first_seed, arguments.first_seed + arguments.draws)
    print(f"{arguments.images}: {len(world.y)} images, {len(world.classes)} classes, draws {list(seeds)}", flush=True)
    if "share" in arguments.tables:
        tell_shares(world, arguments.situations or SHARE, seeds, arguments.witnesses, arguments.peers)
    if "errors" in arguments.tables:
        tell_errors(world, [name for name in arguments.situations or NOISE if name in NOISE], seeds)
    if "open" in arguments.tables:
        tell_open(world, seeds)
    if "tail" in arguments.tables:
        tell_tail(world, seeds)
    for pair in arguments.pairs if "two" in arguments.tables else ():
        chosen = np.sort([world.classes.index(name) for name in pair.split(",")])
        two = take(world, np.flatnonzero(np.isin(world.y, chosen)), chosen)
        print(f"{pair}: {len(two.y)} images", flush=True)
        tell_shares(two, TWO, seeds, arguments.witnesses, arguments.peers)
        tell_errors(two, ["u20", "u40"], seeds)


if __name__ == "__main__":
    main()

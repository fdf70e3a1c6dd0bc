"""Do texts help where all labels are clean? Many small trainings in one process, side by side on a GPU.

    python benchmarks/clean_labels.py pack products45/products.jsonl pack.npz
    python benchmarks/clean_labels.py run pack.npz results.jsonl --cells cnn:30:60 --arms plain aligned --seeds 5
    python benchmarks/clean_labels.py show results.jsonl

The list names photos by path (train/…, test/…) with label, texts (description, attributes) and `small` (see
products45.py; clothing's descriptions.jsonl will do too). A cell is NET:PHOTOS_A_CLASS:EPOCHS[:CLASSES]; the classes
are those with the most photos. Validation photos and those that probes are fitted on are no training photos; `pack
--final` packs the test photos in place of the validation photos. Losses, projector, optimizer, schedule and treatment
of texts are the package's own. Probes ask the frozen features what the class does not say: k-NN and validated logistic
regression (`transfer`) on colour, gender, usage, sleeve and neck. Each run appends a JSON line; `show` pairs each arm
with the plain net of the same cell and seed.
"""

import argparse
import itertools
import json
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from clean_labels_arms import ARMS, CONTROLS
from clean_labels_nets import NETS, Training, freeze, predict, train_all
from clean_labels_photos import ATTRIBUTES, Pack, Photos, pack

from gpt4image.evaluate.metrics import compute_metrics
from gpt4image.evaluate.paired import compute_paired_difference
from gpt4image.evaluate.transfer import choose_strength, predict_knn, predict_linear

CELL = ("pack", "net", "per_class", "classes", "size", "epochs", "batch")


@dataclass(frozen=True)
class Cell:
    """A net, photos a class, epochs, and how many classes (None for all)."""

    net: str
    per_class: int
    epochs: int
    classes: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Cell":
        net, *numbers = text.split(":")
        if net not in NETS or len(numbers) not in (2, 3):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not NET:PHOTOS_A_CLASS:EPOCHS[:CLASSES], NET of {list(NETS)}"
            )
        return cls(net, *(int(number) for number in numbers))


def measure(
    network: Any, photos: dict[str, Photos], classes: list[str], device: torch.device, pool: ProcessPoolExecutor | None
) -> tuple[dict[str, Any], Future | None]:
    """Top-1 and the rest; and the probes, to be waited for."""
    logits, features = predict(network, photos["test"].pixels, device)
    labels = photos["test"].labels
    metrics = compute_metrics(logits, labels, classes)
    log_p = F.log_softmax(torch.from_numpy(logits), 1).numpy()
    right = logits.argmax(1) == labels
    fitted = predict(network, photos["training"].pixels, device)[0].argmax(1)
    result: dict[str, Any] = {
        "top1": metrics.top1,
        "macro": metrics.macro,
        "training": 100 * float((fitted == photos["training"].labels).mean()),
        "nll": float(-log_p[np.arange(len(labels)), labels].mean()),
        "ece": metrics.ece,
        "n": len(labels),
        "right": np.packbits(right).tobytes().hex(),
    }
    if pool is None or (photos["probe"].aspects < 0).all():
        return result, None
    known = predict(network, photos["probe"].pixels, device)[1]
    return result, pool.submit(probe, known, photos["probe"].aspects, features, photos["test"].aspects)


def probe(known: np.ndarray, values: np.ndarray, features: np.ndarray, asked: np.ndarray) -> dict[str, Any]:
    """Share right, in %, of each attribute's values by logistic regression and by nearest neighbours."""
    result: dict[str, Any] = {"linear": {}, "knn": {}}
    for place, name in enumerate(ATTRIBUTES):
        has, tested = values[:, place] >= 0, asked[:, place] >= 0
        own, truth = values[has, place], asked[tested, place]
        if len(np.unique(own)) < 2 or not len(truth):
            continue  # Nothing to tell apart.
        strength, _ = choose_strength(known[has], own)
        found = predict_linear(known[has], own, features[tested], strength)
        result["linear"][name] = 100 * float((found == truth).mean())
        near = predict_knn(known[has], own, features[tested])
        result["knn"][name] = 100 * float((near == truth).mean())
    return result


def choose_arms(arguments: argparse.Namespace) -> list[str]:
    """Those that were named, and those with the highest mean gain over the cells in the results so far."""
    arms = list(arguments.arms)
    if arguments.best:
        cells = read_cells(arguments.results).values()
        gains = {
            name: np.mean([np.mean([line["top1"] for line in arms[name].values()]) for arms in cells])
            for name in ARMS
            if name not in CONTROLS and all(name in arms for arms in cells)
        }
        arms += sorted(gains, key=lambda name: -gains[name])[: arguments.best]
    return list(dict.fromkeys(arms))


def run(arguments: argparse.Namespace) -> None:
    start_s, device = time.perf_counter(), torch.device(arguments.device)
    packed = Pack(arguments.pack, arguments.size)
    arms = choose_arms(arguments)
    print(f"arms: {' '.join(arms)}; read in {time.perf_counter() - start_s:.0f} s", flush=True)
    context = get_context("spawn")
    waiting: list[tuple[dict, Future | None]] = []
    with ProcessPoolExecutor(arguments.workers, context) if arguments.workers else nullcontext() as pool:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        for seed, cell in itertools.product(seeds, arguments.cells):
            if time.perf_counter() - start_s > 60 * arguments.minutes:
                print("the time is over", flush=True)
                break
            photos, classes = packed.choose(cell.per_class, cell.classes)
            photos = {part: replace(own, pixels=own.pixels.to(device)) for part, own in photos.items()}
            if cell.net == "frozen":
                photos = freeze(photos, device)
            for at in range(0, len(arms), arguments.together):
                names = arms[at : at + arguments.together]
                waiting += run_together(names, seed, cell, photos, classes, arguments, pool)
                waiting = save(waiting, arguments.results, wait=not arguments.workers)
        save(waiting, arguments.results, wait=True)
    print(f"{time.perf_counter() - start_s:.0f} s in all", flush=True)


def run_together(
    names: list[str],
    seed: int,
    cell: Cell,
    photos: dict[str, Photos],
    classes: list[str],
    arguments: argparse.Namespace,
    pool: ProcessPoolExecutor | None,
) -> list[tuple[dict, Future | None]]:
    start_s, device = time.perf_counter(), torch.device(arguments.device)
    how = (seed, photos["training"], len(classes), cell.epochs, arguments.batch, arguments.device)
    trainings = [Training(cell.net, ARMS[name], *how) for name in names]
    train_all(trainings, seed)
    seconds = (time.perf_counter() - start_s) / len(names)
    found = []
    for name, training in zip(names, trainings, strict=True):
        result, probes = measure(training.network, photos, classes, device, pool)
        where = (
            arguments.pack.stem,
            cell.net,
            cell.per_class,
            len(classes),
            arguments.size,
            cell.epochs,
            arguments.batch,
        )
        line = dict(zip(CELL, where, strict=True))
        device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        found.append((line | {"device": device_name, "arm": name, "seed": seed, "seconds": seconds} | result, probes))
    top1 = " ".join(f"{line['arm']} {line['top1']:.1f}/{line['training']:.0f}" for line, _ in found)
    took = time.perf_counter() - start_s
    print(f"{cell} seed {seed}, {seconds:.2f} s a training, {took:.1f} s in all: {top1}", flush=True)
    return found


def save(waiting: list[tuple[dict, Future | None]], results: Path, wait: bool) -> list[tuple[dict, Future | None]]:
    """Appends what is finished, and returns the rest."""
    left = []
    with results.open("a", encoding="utf-8") as file:
        for line, probes in waiting:
            if probes is None or wait or probes.done():
                file.write(json.dumps(line | (probes.result() if probes else {})) + "\n")
            else:
                left.append((line, probes))
    return left


def read_cells(path: Path) -> dict[tuple, dict[str, dict[int, dict]]]:
    """Lines by cell, arm and seed."""
    cells: dict[tuple, dict[str, dict[int, dict]]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        key = tuple(line[name] for name in CELL)
        cells.setdefault(key, {}).setdefault(line["arm"], {})[line["seed"]] = line
    return cells


def show(path: Path) -> None:
    """A table a cell: each arm's means, and its difference to the plain net of the same seeds."""
    for cell, arms in read_cells(path).items():
        named = dict(zip(CELL, cell, strict=True))
        print("\n" + ", ".join(f"{name} {value}" for name, value in named.items()) + "\n")
        print("| arm | seeds | top-1 | gain (95 % interval) | training | NLL | ECE | probes | gain | k-NN gain |")
        print("|" + "---|" * 10)
        for name, runs in arms.items():
            seeds = [seed for seed in runs if seed in arms.get("plain", {})]
            own, plain = [runs[seed] for seed in seeds], [arms["plain"][seed] for seed in seeds]
            if not own:
                continue
            means = {key: np.mean([line[key] for line in own]) for key in ("top1", "training", "nll", "ece")}
            top1 = compute_paired_difference(unpack(own), unpack(plain))
            gain = "" if name == "plain" else f"{top1.mean:+.1f} ({top1.low:+.1f} to {top1.high:+.1f})"
            columns = [name, str(len(seeds)), f"{means['top1']:.1f}", gain, f"{means['training']:.1f}"]
            columns += [f"{means['nll']:.2f}", f"{means['ece']:.1f}"]
            if all("linear" in line for line in own + plain):
                columns.append(f"{np.mean([average(line, 'linear') for line in own]):.1f}")
                for kind in ("linear", "knn"):
                    gains = [average(a, kind) - average(b, kind) for a, b in zip(own, plain, strict=True)]
                    columns.append("" if name == "plain" else interval(gains))
            else:
                columns += [""] * 3
            print(f"| {' | '.join(columns)} |")


def unpack(lines: list[dict]) -> np.ndarray:
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(line["right"]), np.uint8))[: line["n"]] for line in lines]
    return np.stack(bits).astype(bool)


def average(line: dict, kind: str) -> float:
    return float(np.mean(list(line[kind].values())))


def interval(differences: list[float]) -> str:
    """Mean over seeds and its interval by Student's t; with one seed the mean alone."""
    from scipy import stats

    mean, count = np.mean(differences), len(differences)
    if count == 1:
        return f"{mean:+.1f}"
    half = stats.t.ppf(0.975, count - 1) * np.std(differences, ddof=1) / count**0.5
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packs = commands.add_parser("pack")
    packs.add_argument("listed", type=Path)
    packs.add_argument("file", type=Path)
    packs.add_argument("--final", action="store_true", help="test photos in place of validation photos")
    runs = commands.add_parser("run")
    runs.add_argument("pack", type=Path)
    runs.add_argument("results", type=Path)
    runs.add_argument("--cells", nargs="+", type=Cell.parse, required=True)
    runs.add_argument("--arms", nargs="+", choices=[*ARMS, "all"], default=["plain", "aligned"])
    runs.add_argument("--best", type=int, default=0, help="so many more arms, the best in the results so far")
    runs.add_argument("--seeds", type=int, default=2)
    runs.add_argument("--first-seed", type=int, default=0)
    runs.add_argument("--size", type=int, default=64, help="pixels")
    runs.add_argument("--batch", type=int, default=128)
    runs.add_argument("--together", type=int, default=12, help="trainings side by side on a GPU")
    runs.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 2), help="of probes; 0 for none")
    runs.add_argument("--minutes", type=float, default=1e6, help="no training starts later")
    runs.add_argument("--device", default="cpu")
    commands.add_parser("show").add_argument("results", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "pack":
        pack(arguments.listed, arguments.file, arguments.final)
    elif arguments.command == "show":
        show(arguments.results)
    else:
        if "all" in arguments.arms:
            arguments.arms = list(ARMS)
        run(arguments)


if __name__ == "__main__":
    main()

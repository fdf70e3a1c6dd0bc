"""What does learning from texts cost? Step time of an aligned run against a plain one, interleaved in one run.

    python benchmarks/train_overhead.py [--steps 8] [--rounds 12] [--models resnet18 deit_tiny_patch16_224] [--compile]

Both run the real training step (targets from the memory-mapped table, forward, backward, update) on the same generated
batch of 64 images at 64 pixels: with the default projector and 384-d texts, and with the official projector and 1024-d
texts. The figure is the median over rounds of aligned / plain in processor time of the one thread, so that other work
on the machine matters less; a round times some steps of each, in turns. `--compile` instead compares the aligned step
with itself under torch.compile (the compilation, some minutes, is left out).
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from gpt4image.embed.table import save_table
from gpt4image.images import open_images, scan_images
from gpt4image.train import TrainSettings
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.loop import update_weights
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import Setup, create_setup
from gpt4image.train.step import train_step

VARIANTS: dict[str, tuple[int, dict[str, Any]]] = {
    "default (linear, 384-d)": (384, {}),
    "official (mlp, 1024-d)": (1024, {"projector": "mlp"}),
}


def make_data(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / "photos" / f"class{number % 10}" / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    digests = scan_images(open_images(str(folder / "photos")), folder / "scan.sqlite").digests
    columns = {"digest": digests, "text_hash": digests}
    for dimension, _ in VARIANTS.values():
        vectors = rng.normal(size=(count, dimension))
        save_table(folder / "work" / "embeddings" / str(dimension), vectors, pa.table(columns), {"encoder": "random"})


def create(settings: TrainSettings) -> Setup:
    accelerator = create_accelerator(settings)
    setup = create_setup(settings, load_inputs(settings), accelerator)
    setup.network.train()
    return setup


def time_steps(settings: TrainSettings, setup: Setup, batch: tuple[torch.Tensor, torch.Tensor], steps: range) -> float:
    """Seconds of processor time a step."""
    pixels, images = batch
    start_s = time.process_time()
    for _ in steps:
        train_step(settings, setup, pixels, images)
        update_weights(settings, setup)
    return (time.process_time() - start_s) / len(steps)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=["resnet18", "deit_tiny_patch16_224"])
    parser.add_argument("--objective", default="clip")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--compile", action="store_true", help="what does torch.compile gain?")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder, 64)
        for model in arguments.models:
            plain = TrainSettings(
                str(folder / "photos"),
                folder / "run",
                model=model,
                input_size=64,
                batch_size=64,
                objective="none",
                device="cpu",
            )
            for name, (dimension, changes) in VARIANTS.items():
                aligned = replace(
                    plain,
                    work=folder / "work",
                    embeddings=str(dimension),
                    objective=arguments.objective,
                    projector_norm="deit" not in model,
                    **changes,
                )
                sides = {"plain": plain, "aligned": aligned}
                if arguments.compile:
                    sides = {"as it is": aligned, "compiled": replace(aligned, compile=True)}
                print(
                    f"{model} at 64 px, batch 64, {arguments.objective}, {name}: {compare(sides, arguments)}",
                    flush=True,
                )


def compare(sides: dict[str, TrainSettings], arguments: argparse.Namespace) -> str:
    """Times steps of both in turns; each round turns the order around."""
    runs = [(settings, create(settings)) for settings in sides.values()]
    batch = next(iter(runs[0][1].loader))
    for run in runs:
        time_steps(*run, batch, range(1, 3))
    times: list[list[float]] = [[], []]
    for number in range(arguments.rounds):
        first = 3 + number * arguments.steps
        for which in (0, 1) if number % 2 else (1, 0):
            times[which].append(time_steps(*runs[which], batch, range(first, first + arguments.steps)))
    ratios = sorted(ours / theirs for theirs, ours in zip(*times, strict=True))
    medians = ", ".join(
        f"{name} {1000 * statistics.median(own):.0f} ms" for name, own in zip(sides, times, strict=True)
    )
    quarter = len(ratios) // 4
    return (
        f"{medians}, ratio {statistics.median(ratios):.3f} "
        f"(middle half from {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}, {len(ratios)} rounds)"
    )


if __name__ == "__main__":
    main()

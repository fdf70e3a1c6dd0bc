"""What does learning from texts cost? Step time of an aligned run against a plain one, interleaved in one run.

    python benchmarks/train_overhead.py [--steps 8] [--rounds 12] [--models resnet18 deit_tiny_patch16_224]

Both run the real training step (targets from the memory-mapped table, forward, backward, update) on the same generated
batch of 64 images at 64 pixels, 1024-d text embeddings, the official projector and objective. The figure is the median
over rounds of aligned / plain; a round times some steps of each, in turns.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from gpt4image.embed.table import save_table
from gpt4image.images import open_images, scan_images
from gpt4image.train import TrainSettings
from gpt4image.train.inputs import load_inputs
from gpt4image.train.loop import update_weights
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import Setup, create_setup
from gpt4image.train.step import train_step

DIMENSION = 1024


def make_data(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / "photos" / f"class{number % 10}" / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    digests = scan_images(open_images(str(folder / "photos")), folder / "scan.sqlite").digests
    columns = {"digest": digests, "text_hash": digests}
    vectors = rng.normal(size=(count, DIMENSION))
    save_table(folder / "work" / "embeddings" / "texts", vectors, pa.table(columns), {"encoder": "random"})


def create(settings: TrainSettings) -> Setup:
    accelerator = create_accelerator(settings)
    setup = create_setup(settings, load_inputs(settings), accelerator)
    setup.network.train()
    return setup


def time_steps(settings: TrainSettings, setup: Setup, batch: tuple[torch.Tensor, torch.Tensor], steps: range) -> float:
    """Seconds a step."""
    pixels, images = batch
    start_s = time.perf_counter()
    for step in steps:
        train_step(settings, setup, pixels, images, step)
        update_weights(settings, setup)
    return (time.perf_counter() - start_s) / len(steps)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=["resnet18", "deit_tiny_patch16_224"])
    parser.add_argument("--objective", default="clip")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=12)
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
                reader=False,
                device="cpu",
            )
            aligned = replace(
                plain,
                work=folder / "work",
                objective=arguments.objective,
                projector="mlp",
                projector_norm="deit" not in model,
            )
            runs = [(settings, create(settings)) for settings in (plain, aligned)]
            batch = next(iter(runs[0][1].loader))
            for settings, setup in runs:
                time_steps(settings, setup, batch, range(1, 3))
            ratios, times = [], []
            for number in range(arguments.rounds):
                # Turned around each time, so that a slow spell of the machine hits both alike.
                order = runs if number % 2 else runs[::-1]
                first = 3 + number * arguments.steps
                taken = {id(run): time_steps(*run, batch, range(first, first + arguments.steps)) for run in order}
                times.append((taken[id(runs[0])], taken[id(runs[1])]))
                ratios.append(times[-1][1] / times[-1][0])
            seconds = [1000 * statistics.median(column) for column in zip(*times, strict=True)]
            print(
                f"{model} at 64 px, batch 64, {arguments.objective}: plain {seconds[0]:.0f} ms, aligned "
                f"{seconds[1]:.0f} ms, ratio {statistics.median(ratios):.3f} (rounds from {min(ratios):.3f} to "
                f"{max(ratios):.3f})",
                flush=True,
            )


if __name__ == "__main__":
    main()

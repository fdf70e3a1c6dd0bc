"""How often does the interval of a paired difference hold the true one? Simulated outcomes, by seeds and their effect.

    python benchmarks/coverage.py [--images 1000] [--repeats 2000]

Two arms answer images of varied difficulty; each seed of each arm is better or worse by luck. How much stands before
each row, as the standard deviation of an arm's top-1 over seeds. The true difference is known from the model. Prints
the share of intervals that hold it, and half their median width in points.
"""

import argparse
import time

import numpy as np
from scipy.stats import norm

from gpt4image.evaluate.paired import compute_paired_difference

SEEDS, LUCK = (2, 3, 5, 10), (0.0, 0.03, 0.1, 0.3)
DIFFICULTY, TASTE, GAIN = 1.2, 0.5, 0.3


def simulate(rng: np.random.Generator, seeds: int, images: int, luck: float) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes [seeds, images] of two arms with the same images; the first is better by GAIN."""
    difficulty, taste = rng.normal(0, DIFFICULTY, images), rng.normal(0, TASTE, images)

    def answer(mean: np.ndarray) -> np.ndarray:
        return mean + luck * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, images)) > 0

    return answer(difficulty + taste + GAIN), answer(difficulty - taste)


def cover(rng: np.random.Generator, seeds: int, images: int, luck: float, repeats: int) -> tuple[float, float]:
    """Share of intervals that hold the truth, and their median half width in points."""
    scale = np.sqrt(DIFFICULTY**2 + TASTE**2 + 1 + luck**2)
    truth = 100 * (norm.cdf(GAIN / scale) - 0.5)
    found = [compute_paired_difference(*simulate(rng, seeds, images, luck)) for _ in range(repeats)]
    held = [one.low <= truth <= one.high for one in found]
    return float(np.mean(held)), float(np.median([(one.high - one.low) / 2 for one in found]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=2000)
    arguments = parser.parse_args()
    start_s = time.process_time()
    print(f"95 % intervals, {arguments.images:,} images, {arguments.repeats:,} draws each\n")
    print("| luck of a seed: standard deviation of top-1 | " + " | ".join(f"{seeds} seeds" for seeds in SEEDS) + " |")
    print("|---" * (len(SEEDS) + 1) + "|")
    for luck in LUCK:
        rng = np.random.default_rng(0)
        top1 = [100 * simulate(rng, 1, 20_000, luck)[0].mean() for _ in range(50)]
        cells = [cover(rng, seeds, arguments.images, luck, arguments.repeats) for seeds in SEEDS]
        shown = " | ".join(f"{100 * held:.1f} % (± {half:.1f})" for held, half in cells)
        print(f"| {np.std(top1) if luck else 0:.1f} points | {shown} |")
    print(f"\n{time.process_time() - start_s:.0f} s of processor time")


if __name__ == "__main__":
    main()

"""Whether one arm is more accurate than another, by more than the choice of test images and of seeds explains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from gpt4image.errors import RunError, SettingsError
from gpt4image.evaluate.record import load_predictions


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of arm a minus accuracy of arm b, in points.

    Attributes:
        mean: the difference.
        low: lower end of the interval.
        high: upper end.
        level: how often such intervals hold the true difference.
        num_seeds: runs an arm.
        num_images: test images.
        random: what the interval treats as drawn by chance; with one seed it says nothing about other seeds.
        p: one minus the level of the interval that just reaches zero; small where zero is far outside.
    """

    mean: float
    low: float
    high: float
    level: float
    num_seeds: int
    num_images: int
    random: str
    p: float

    def __str__(self) -> str:
        interval = f"{self.mean:+.2f} points, {100 * self.level:.0f} % interval {self.low:+.2f} to {self.high:+.2f}"
        return f"{interval} over {self.random}"


def paired_difference(
    run_a: Path | Sequence[Path], run_b: Path | Sequence[Path], name: str = "", level: float = 0.95
) -> PairedDifference:
    """How much more accurate `run_a` is than `run_b` on the same test images.

    Args:
        run_a: an evaluated run, or one run a seed.
        run_b: the run (or runs, in the same order of seeds) it is compared with.
        name: of the test set, if it is not the default one.
        level: of the interval.

    Raises:
        RunError: a run has not been evaluated, or the runs were evaluated on different images.
        SettingsError: the two sides have different numbers of runs.
    """
    runs_a, runs_b = _as_list(run_a), _as_list(run_b)
    if len(runs_a) != len(runs_b):
        raise SettingsError(
            f"{len(runs_a)} runs cannot be paired with {len(runs_b)}; give one run a seed on both sides"
        )
    correct = _load_correct([*runs_a, *runs_b], name)
    return compute_paired_difference(np.stack(correct[: len(runs_a)]), np.stack(correct[len(runs_a) :]), level)


def accuracy_interval(runs: Path | Sequence[Path], name: str = "", level: float = 0.95) -> PairedDifference:
    """Top-1 of an arm in percent with its interval over test images and seeds: the difference to a model never right.

    Args:
        runs: an evaluated run, or one run a seed.
        name: of the test set, if it is not the default one.
        level: of the interval.

    Raises:
        RunError: a run has not been evaluated, or the runs were evaluated on different images.
    """
    correct = np.stack(_load_correct(_as_list(runs), name))
    interval = compute_paired_difference(correct, np.zeros_like(correct), level)
    return replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 100.0))


def compute_paired_difference(
    correct_a: Bool[np.ndarray, "s n"], correct_b: Bool[np.ndarray, "s n"], level: float = 0.95
) -> PairedDifference:
    """Mean difference of two arms trained with the same seeds and tested on the same images.

    The differences d[s, i] in {-1, 0, 1} follow the crossed random-effects model
    d = mean + seed effect + image effect + rest, so the mean of all has the variance
    MS_seeds / (S N) + (MS_images - MS_rest) / (S N), in mean squares of the two-way analysis of variance. Adding the
    variances over seeds and over images as they stand would count the rest twice. With 2 to 5 seeds the first term
    is known badly; the interval therefore adds the two terms' own half widths in quadrature (MOVER; Zou and Donner
    2008, doi 10.1002/sim.3095), Student's t with S - 1 degrees of freedom for seeds and the normal for images.
    How often it holds the true difference is simulated by benchmarks/coverage.py; docs/report.md has the figures. With
    one seed only the images are random.

    Args:
        correct_a: whether each test image is classified right, a row a seed.
        correct_b: the same for the other arm.
        level: of the interval, between 0 and 1.

    Raises:
        SettingsError: the shapes differ, or there are fewer than 2 images.
    """
    if correct_a.shape != correct_b.shape or correct_a.ndim != 2 or correct_a.shape[1] < 2:
        raise SettingsError(
            f"outcomes of shape {correct_a.shape} and {correct_b.shape} cannot be paired; "
            "both must be [seeds, images] with at least 2 images"
        )
    difference = 100 * (correct_a.astype(np.float64) - correct_b)
    mean, half_width, (num_seeds, num_images) = difference.mean(), _find_half_width(difference), difference.shape
    half = half_width(level)
    random = "test images and seeds" if num_seeds > 1 else "test images only (one seed: other seeds may differ more)"
    p = _find_p(float(abs(mean)), half_width)
    return PairedDifference(
        float(mean), float(mean - half), float(mean + half), level, num_seeds, num_images, random, p
    )


def _find_p(distance: float, half_width: Callable[[float], float]) -> float:
    """One minus the level at which an interval reaches zero, which lies at this distance from its middle."""
    from scipy.optimize import brentq

    most = 1 - 1e-9
    if not distance:
        return 1.0
    if half_width(most) < distance:
        return 1 - most
    return 1 - float(brentq(lambda level: half_width(level) - distance, 0, most))


def _find_half_width(difference: np.ndarray) -> Callable[[float], float]:
    """Half the interval's width as a function of its level."""
    from scipy import stats

    num_seeds, num_images = difference.shape
    if num_seeds == 1:
        deviation = difference.std(ddof=1) / np.sqrt(num_images)
        return lambda level: float(stats.norm.ppf((1 + level) / 2) * deviation)
    of_seeds, of_images, of_rest = _mean_squares(difference)

    def half_width(level: float) -> float:
        z, t = stats.norm.ppf((1 + level) / 2), stats.t.ppf((1 + level) / 2, num_seeds - 1)
        # The rest alone is known well, so chance agreement of the seeds must not make the interval narrower than it.
        seeds = max(t**2 * of_seeds, z**2 * of_rest)
        images = z**2 * max(of_images - of_rest, 0.0)
        return float(np.sqrt((seeds + images) / difference.size))

    return half_width


def _mean_squares(difference: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, images and rest of the two-way analysis of variance without replication."""
    num_seeds, num_images = difference.shape
    seed_means, image_means = difference.mean(1, keepdims=True), difference.mean(0, keepdims=True)
    rest = difference - seed_means - image_means + difference.mean()
    return (
        num_images * seed_means.var(ddof=1),
        num_seeds * image_means.var(ddof=1),
        (rest**2).sum() / ((num_seeds - 1) * (num_images - 1)),
    )


def _as_list(runs: Path | Sequence[Path]) -> list[Path]:
    return [Path(runs)] if isinstance(runs, (str, Path)) else list(runs)


def _load_correct(runs: list[Path], name: str) -> list[np.ndarray]:
    """Bool [N] of each run, all about the same images in the same order."""
    loaded = [load_predictions(run, name) for run in runs]
    for run, predictions in zip(runs, loaded, strict=True):
        if predictions.digests != loaded[0].digests:
            raise RunError(f"{run} and {runs[0]} were evaluated on different images; evaluate both on the same set")
    return [predictions.correct for predictions in loaded]

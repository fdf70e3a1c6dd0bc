"""The paired difference between trained runs, from the predictions that their evaluations left."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gpt4image.errors import RunError, SettingsError
from gpt4image.evaluate.paired import PairedDifference, compute_paired_difference
from gpt4image.evaluate.record import load_predictions


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


def _as_list(runs: Path | Sequence[Path]) -> list[Path]:
    return [Path(runs)] if isinstance(runs, (str, Path)) else list(runs)


def _load_correct(runs: list[Path], name: str) -> list[np.ndarray]:
    """Bool [N] of each run, all about the same images in the same order."""
    loaded = [load_predictions(run, name) for run in runs]
    for run, predictions in zip(runs, loaded, strict=True):
        if predictions.digests != loaded[0].digests:
            raise RunError(f"{run} and {runs[0]} were evaluated on different images; evaluate both on the same set")
    return [predictions.correct for predictions in loaded]

"""Which test images show the difference between two arms: those whose true class gained or lost most."""

from dataclasses import dataclass

import numpy as np

from gpt4image.evaluate.record import Predictions
from gpt4image.report.calibration import softmax

MOST_PER_CLASS = 2


@dataclass(frozen=True)
class Changes:
    """Test images that an arm gets right in most seeds and the baseline does not, and the reverse.

    Attributes:
        improved: int64, a few of them, largest change first.
        worsened: int64.
        num_improved: how many there are in all.
        num_worsened: how many there are in all.
    """

    improved: list[int]
    worsened: list[int]
    num_improved: int
    num_worsened: int


def find_changes(baseline: list[Predictions], arm: list[Predictions], most: int = 8) -> Changes:
    """Finds images by majority of the seeds; ranks them by the change in the true class's mean probability.

    At most two images of a class are chosen, so that one class does not fill the page.

    Args:
        baseline: one a seed, all on the same images.
        arm: of the same seeds.
        most: images chosen each way.
    """
    labels = baseline[0].labels
    gain = mean_true_probability(arm) - mean_true_probability(baseline)
    right_before, right_after = (np.mean([one.correct for one in side], axis=0) > 0.5 for side in (baseline, arm))
    improved, worsened = np.flatnonzero(right_after & ~right_before), np.flatnonzero(right_before & ~right_after)
    return Changes(
        _choose(improved[np.argsort(-gain[improved], kind="stable")], labels, most),
        _choose(worsened[np.argsort(gain[worsened], kind="stable")], labels, most),
        len(improved),
        len(worsened),
    )


def mean_true_probability(predictions: list[Predictions]) -> np.ndarray:
    """Probability of the true class of each image [N], mean over the seeds."""
    rows = np.arange(len(predictions[0].labels))
    return np.mean([softmax(one.logits)[rows, one.labels] for one in predictions], axis=0)


def mean_answer(predictions: list[Predictions], index: int) -> tuple[int, float]:
    """What the seeds together say about one image: the class of the largest mean probability, and that probability."""
    probabilities = np.mean([softmax(one.logits[index : index + 1])[0] for one in predictions], axis=0)
    return int(probabilities.argmax()), float(probabilities.max())


def _choose(ranked: np.ndarray, labels: np.ndarray, most: int) -> list[int]:
    chosen: list[int] = []
    for index in ranked.tolist():
        if sum(labels[other] == labels[index] for other in chosen) < MOST_PER_CLASS:
            chosen.append(index)
        if len(chosen) == most:
            break
    return chosen

"""Which test images show the difference between two arms: those whose true class gained or lost most."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from gpt4image.evaluate.record import Predictions

MOST_PER_CLASS = 2


@dataclass(frozen=True)
class Changes:
    """Test images that an arm gets right and the baseline does not, and the reverse, by the mean of their seeds.

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
    """Finds images by the answer of the mean probabilities; ranks them by the change of the true class's.

    At most two images of a class are chosen, so that one class does not fill the page.

    Args:
        baseline: one a seed, all on the same images.
        arm: of the same seeds.
        most: images chosen each way.
    """
    labels = baseline[0].labels
    before, after = mean_probabilities(baseline), mean_probabilities(arm)
    rows = np.arange(len(labels))
    gain = after[rows, labels] - before[rows, labels]
    right_before, right_after = (mean.argmax(1) == labels for mean in (before, after))
    improved, worsened = np.flatnonzero(right_after & ~right_before), np.flatnonzero(right_before & ~right_after)
    return Changes(
        _choose(improved[np.argsort(-gain[improved], kind="stable")], labels, most),
        _choose(worsened[np.argsort(gain[worsened], kind="stable")], labels, most),
        len(improved),
        len(worsened),
    )


def mean_probabilities(predictions: list[Predictions]) -> np.ndarray:
    """Probability of each class [N, C], mean over the seeds."""
    return sum(softmax(one.logits, axis=1) for one in predictions) / len(predictions)


def _choose(ranked: np.ndarray, labels: np.ndarray, most: int) -> list[int]:
    chosen: list[int] = []
    for index in ranked.tolist():
        if sum(labels[other] == labels[index] for other in chosen) < MOST_PER_CLASS:
            chosen.append(index)
        if len(chosen) == most:
            break
    return chosen

"""Gains class by class, with intervals over test images and seeds."""

from dataclasses import dataclass

import numpy as np

from gpt4image.compare.comparison import Difference
from gpt4image.evaluate.paired import compute_paired_difference
from gpt4image.evaluate.record import Predictions


@dataclass(frozen=True)
class ClassGain:
    """Accuracy of one class in percent, baseline and arm, their difference, and the number of test images."""

    name: str
    baseline: float
    arm: float
    difference: Difference
    n: int


def compute_class_gains(baseline: list[Predictions], arm: list[Predictions], classes: list[str]) -> list[ClassGain]:
    """Gains of each class with at least two test images, largest first.

    Args:
        baseline: one a seed, all on the same images.
        arm: of the same seeds.
        classes: names in label order.
    """
    labels = baseline[0].labels
    right = [np.stack([predictions.correct for predictions in side]) for side in (arm, baseline)]
    gains = [
        _gain(name, *(outcomes[:, labels == number] for outcomes in right))
        for number, name in enumerate(classes)
        if (labels == number).sum() >= 2
    ]
    return sorted(gains, key=lambda gain: -gain.difference.mean)


def _gain(name: str, arm: np.ndarray, baseline: np.ndarray) -> ClassGain:
    paired = compute_paired_difference(arm, baseline)
    # With few images and seeds the interval reaches beyond what a difference of shares can be.
    difference = Difference(paired.mean, max(paired.low, -100.0), min(paired.high, 100.0), paired.level)
    return ClassGain(name, 100 * float(baseline.mean()), 100 * float(arm.mean()), difference, arm.shape[1])

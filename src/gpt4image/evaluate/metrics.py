"""Accuracy and calibration from logits, with torchmetrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_f1_score,
)

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassAccuracy:
    """Top-1 `accuracy` in percent over the `n` test images of a class; None if there are none."""

    accuracy: float | None
    n: int


@dataclass(frozen=True)
class Metrics:
    """All in percent.

    Attributes:
        top1: share of images whose class has the largest logit.
        top5: share of images whose class is among the five largest (all of them if there are fewer classes).
        ece: expected calibration error: mean distance of confidence and accuracy over 15 bins of equal width,
            weighted by the images in a bin (Guo et al. 2017, arXiv 1706.04599).
        macro: mean over the classes of their accuracy; classes without test images do not count.
        macro_f1: mean over the same classes of F1, the harmonic mean of precision and recall.
        per_class: class name to its accuracy.
        n: number of images.
    """

    top1: float
    top5: float
    ece: float
    macro: float
    macro_f1: float
    per_class: dict[str, ClassAccuracy]
    n: int


def compute_metrics(
    logits: Float32[np.ndarray, "n c"], labels: Int64[np.ndarray, " n"], classes: Sequence[str]
) -> Metrics:
    """Computes all metrics of one test.

    Args:
        logits: one row an image.
        labels: true classes, 0 to C - 1.
        classes: the C class names.
    """
    scores, truth, num_classes = torch.from_numpy(logits), torch.from_numpy(labels), len(classes)

    def accuracy(top_k: int) -> float:
        return 100 * multiclass_accuracy(scores, truth, num_classes, average="micro", top_k=top_k).item()

    # Probabilities, not logits: torchmetrics guesses which it was given, and guesses wrong for logits within [0, 1].
    ece = multiclass_calibration_error(scores.softmax(1), truth, num_classes, n_bins=CALIBRATION_BINS, norm="l1")
    present = torch.bincount(truth, minlength=num_classes) > 0
    f1 = multiclass_f1_score(scores, truth, num_classes, average="none")
    recall = multiclass_accuracy(scores, truth, num_classes, average="none")
    return Metrics(
        top1=accuracy(1),
        top5=accuracy(min(5, num_classes)),
        ece=100 * ece.item(),
        macro=100 * recall[present].mean().item(),
        macro_f1=100 * f1[present].mean().item(),
        per_class=_per_class(recall, truth, classes),
        n=len(labels),
    )


def _per_class(shares: torch.Tensor, truth: torch.Tensor, classes: Sequence[str]) -> dict[str, ClassAccuracy]:
    counts = torch.bincount(truth, minlength=len(classes))
    return {
        name: ClassAccuracy(100 * share if count else None, count)
        for name, share, count in zip(classes, shares.tolist(), counts.tolist(), strict=True)
    }

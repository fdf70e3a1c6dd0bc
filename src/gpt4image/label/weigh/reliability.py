"""How reliable each witness and the given labels are, over images and not over classes, with 95 % intervals."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import beta

LEAST_CONFUSED = 3.0
"""Expected images below which a confusion is not told."""


def estimate_accuracy(named: Int[np.ndarray, " N"], belief: Float[np.ndarray, "N C"]) -> dict[str, Any]:
    """Expected share right of what a witness named; -1 where it named nothing.

    Returns:
        `accuracy` and `interval` over images, `images`, and the same per class of what was named (`classes`).
    """
    num_classes = belief.shape[1]
    chosen = np.flatnonzero(named >= 0)
    right = belief[chosen, named[chosen]].astype(np.float64)
    per_right = np.bincount(named[chosen], right, num_classes)
    per_count = np.bincount(named[chosen], minlength=num_classes)
    classes = [_interval(r, n) for r, n in zip(per_right, per_count, strict=True)]
    return {**_interval(float(right.sum()), len(chosen)), "classes": classes}


def _interval(right: float, count: int) -> dict[str, Any]:
    """Mean and equal-tailed interval of a uniform prior's posterior; the count of right ones may be a fraction."""
    low, high = beta.ppf([0.025, 0.975], right + 1, count - right + 1)
    return {"accuracy": right / count if count else None, "interval": [float(low), float(high)], "images": int(count)}


def find_confusions(labels: Int[np.ndarray, " N"], belief: Float[np.ndarray, "N C"]) -> list[dict[str, Any]]:
    """Pairs (class, label) with the expected number of images of the class that have the label, the most first."""
    num_classes = belief.shape[1]
    counts = np.zeros((num_classes, num_classes))
    labelled = labels >= 0
    np.add.at(counts.T, labels[labelled], belief[labelled])
    np.fill_diagonal(counts, 0)
    pairs = np.argwhere(counts >= LEAST_CONFUSED)
    found = [{"class": int(y), "labelled": int(label), "images": float(counts[y, label])} for y, label in pairs]
    return sorted(found, key=lambda one: -one["images"])

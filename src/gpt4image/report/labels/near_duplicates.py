"""Images of different labels that are all but the same picture, by their features."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri

MOST_COMPARED = 50_000
"""Every image is compared with every other: of more, the most doubtful ones are."""
CHUNK = 1024
NEAR = 0.05
"""Share of the images by which the spread of near neighbours is told: distances are skewed, so the near side counts."""


def find_near_duplicates(
    features: Float[np.ndarray, "N F"], labels: Int[np.ndarray, " N"]
) -> tuple[list[tuple[int, int, float]], float]:
    """Pairs of images with different labels that are nearer to each other than neighbours usually are.

    What is usual is told by the distances of all images to their nearest neighbours: a pair is all but the same picture
    if, were the logarithms of these distances normal with the median and the 5th percentile found, fewer than one of
    the N images would have a neighbour as near.

    Args:
        features: of N images; none of them twice.
        labels: class of each.

    Returns:
        Positions and cosine of each pair, the nearest first, and the cosine from which pairs count.
    """
    if len(features) < 3:
        return [], 1.0
    unit = features.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True) + 1e-12
    nearest = np.concatenate([rows.max(1) for _, rows in _cosines(unit)])
    logs = np.log(np.maximum(1 - nearest, 1e-7))
    usual, near = np.median(logs), np.quantile(logs, NEAR)
    threshold = float(1 - np.exp(usual - (usual - near) * ndtri(1 / len(unit)) / ndtri(NEAR)))
    doubtful = np.flatnonzero(nearest >= threshold)
    pairs = {}
    for start, rows in _cosines(unit, doubtful):
        for row, other in np.argwhere(rows >= threshold):
            first, second = sorted((int(doubtful[start + row]), int(other)))
            if labels[first] != labels[second]:
                pairs[first, second] = float(rows[row, other])
    return sorted(((*pair, cosine) for pair, cosine in pairs.items()), key=lambda one: (-one[2], one[:2])), threshold


def _cosines(unit: np.ndarray, chosen: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Cosines [n, N] of some images with all, in chunks; that of an image with itself is -1."""
    chosen = np.arange(len(unit)) if chosen is None else chosen
    for start in range(0, len(chosen), CHUNK):
        rows = chosen[start : start + CHUNK]
        cosines = unit[rows] @ unit.T
        cosines[np.arange(len(rows)), rows] = -1
        yield start, cosines

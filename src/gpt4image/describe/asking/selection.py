"""Chooses which images of a set are described."""

import hashlib

import numpy as np

from gpt4image.images import ImageSet, Scan


def select_images(images: ImageSet, scan: Scan, limit: int | None = None) -> np.ndarray:
    """The readable images, each digest once; with a limit, as many of each class as of any other.

    The choice depends on the images alone: a larger limit adds to the choice of a smaller one, and the order
    of files changes nothing.

    Returns:
        int64, positions in the image set, ascending.
    """
    first: dict[str, int] = {}
    for index in np.flatnonzero(scan.readable).tolist():
        first.setdefault(scan.digests[index], index)
    indices = np.fromiter(first.values(), dtype=np.int64, count=len(first))
    if limit is None or limit >= len(indices):
        return indices
    return np.sort(_balanced(images.labels[indices], [scan.digests[i] for i in indices], limit, indices))


def _balanced(labels: np.ndarray, digests: list[str], limit: int, indices: np.ndarray) -> np.ndarray:
    """Takes turns among the classes; within a class the order is that of a hash."""
    order = np.array([int(hashlib.sha256(digest.encode()).hexdigest()[:15], 16) for digest in digests])
    by_class = np.lexsort((order, labels))
    sorted_labels = labels[by_class]
    starts = np.searchsorted(sorted_labels, sorted_labels)
    turn = np.arange(len(labels)) - starts
    return indices[by_class[np.lexsort((order[by_class], turn))[:limit]]]

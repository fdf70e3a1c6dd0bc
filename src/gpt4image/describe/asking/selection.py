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
    # The classes take turns; within a class the order is that of a hash.
    order = np.array([int(hashlib.sha256(scan.digests[i].encode()).hexdigest()[:15], 16) for i in indices])
    by_class = np.lexsort((order, images.labels[indices]))
    labels = images.labels[indices][by_class]
    turn = np.arange(len(labels)) - np.searchsorted(labels, labels)
    return np.sort(indices[by_class[np.lexsort((order[by_class], turn))[:limit]]])

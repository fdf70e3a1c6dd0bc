"""The images of a set on which something can be measured: those that have a label and can be read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.images import ImageSet, open_images, scan_images


@dataclass(frozen=True)
class Labelled:
    """Labelled, readable `images` with their `digests`, how many were `unlabelled`, and which `unreadable` and why."""

    images: ImageSet
    digests: list[str]
    unlabelled: int
    unreadable: dict[str, str]


def open_readable(source: str) -> Labelled:
    """Opens an image set with those of its images that can be read, whether they have a label or not.

    Raises:
        ImageSetError: no image can be read.
    """
    images = open_images(source)
    scan = scan_images(images)
    indices = np.flatnonzero(scan.readable)
    if len(indices) == 0:
        key, reason = next(iter(scan.errors.items()))
        raise ImageSetError(f"no image of {source} can be read, such as {key} ({reason}); give images that can be")
    digests = [scan.digests[index] for index in indices]
    return Labelled(images.subset(indices), digests, int((images.labels < 0).sum()), scan.errors)


def open_labelled(source: str, classes: Sequence[str]) -> Labelled:
    """Opens an image set whose labels are numbers of these classes, matched by name.

    Raises:
        ImageSetError: no image has a label, or one has a class that is not among these.
    """
    images = open_images(source).with_classes(classes)
    scan = scan_images(images)
    indices = np.flatnonzero(scan.readable & (images.labels >= 0))
    if len(indices) == 0:
        raise ImageSetError(f"{source} has no labelled images; give it a folder a class, or a label column")
    digests = [scan.digests[index] for index in indices]
    return Labelled(images.subset(indices), digests, int((images.labels < 0).sum()), scan.errors)

"""Labels that stand in a column: words or numbers, some of them missing."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.images.image_set import UNLABELLED


def number_labels(values: Sequence[Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels int64 [N] and the class names they number: sorted, whole numbers by value. None and "" are no label."""
    names = ["" if value is None else str(value) for value in values]
    found = set(names) - {""}
    classes = tuple(sorted(found, key=int) if all(map(str.isdecimal, found)) else sorted(found))
    number = {name: label for label, name in enumerate(classes)}
    return np.array([number.get(name, UNLABELLED) for name in names], dtype=np.int64), classes


def check_labels(values: Sequence[Any], classes: Sequence[str], source: str) -> np.ndarray:
    """Labels int64 [N] that are numbers of `classes` already; None and -1 are no label.

    Raises:
        ImageSetError: a label is no number of a class.
    """
    try:
        labels = np.array([UNLABELLED if value in (None, "") else int(value) for value in values], dtype=np.int64)
    except ValueError as error:
        raise ImageSetError(
            f"{source}: a label is no number of a class ({error}), although the classes are named"
        ) from error
    if len(labels) and not UNLABELLED <= labels.min() <= labels.max() < len(classes):
        raise ImageSetError(
            f"{source} has labels from {labels.min()} to {labels.max()}, but {len(classes)} classes; name all of them"
        )
    return labels

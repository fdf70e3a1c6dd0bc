"""Labels that stand in a column: words or numbers, some of them missing."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import normalize

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.images.files.names import escape_name
from gpt4image.images.image_set import UNLABELLED
from gpt4image.images.remarks import Remarks, enumerate_names

NO_LABEL = ("", "-1", "-1.0", "nan", "<na>")
"""What tables write where there is no label, in lower case."""
PERHAPS_NO_LABEL = frozenset(
    ("none", "null", "na", "n/a", "#n/a", "?", "-", "--", "unknown", "unlabelled", "unlabeled")
)
"""What some programs write where there is no label; a class may be called so, too."""
LIST = re.compile(r"\[(['\"]).*\1\]|\{(['\"]).*\}", re.DOTALL)
"""A list or an object as Python or JSON write it into a cell."""
SEVERAL, SEPARATORS = re.compile(r"\w\s*[|;]\s*\w"), re.compile(r"[|;,+&/]")
"""Between several labels of one image: the first are hardly ever part of a name."""
FEWEST_OF_ONE = 10
WHOLE = re.compile(r"(\d+)(\.0+)?")


def name_class(text: str) -> str:
    """A class's name: without spaces around it, in one Unicode form, so that what looks the same is the same."""
    return normalize("NFC", escape_name(text)).strip() or text


def number_labels(
    values: Sequence[Any], source: str = "", remarks: Remarks | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels int64 [N] and the class names they number: sorted, whole numbers by value.

    None, blank, NaN and -1 are no label.

    Raises:
        ImageSetError: a label is no word or number.
    """
    remarks = Remarks() if remarks is None else remarks
    names = _read_names(values, source, remarks)
    found = {name for name in names if name is not None}
    are_numbers = all(map(str.isdecimal, found))
    classes = tuple(sorted(found, key=lambda name: (int(name) if are_numbers else 0, name)))
    number = {name: label for label, name in enumerate(classes)}
    remark_alike(classes, remarks)
    doubtful = [name for name in classes if name.lower() in PERHAPS_NO_LABEL]
    if doubtful:
        remarks.add(f"taken for classes: {enumerate_names(doubtful)}; leave the label empty where there is none")
    _remark_several(classes, remarks)
    num_labelled = len(names) - names.count(None)
    if len(classes) == num_labelled >= FEWEST_OF_ONE:
        remarks.add(f"each of {num_labelled:,} labels stands once only, such as {classes[0][:80]!r}: are they classes?")
    return np.array([UNLABELLED if name is None else number[name] for name in names], dtype=np.int64), classes


def _remark_several(classes: Sequence[str], remarks: Remarks) -> None:
    """Says which classes look like several labels of one image."""
    known = set(classes)
    several = [
        name
        for name in classes
        if SEVERAL.search(name)
        or (SEPARATORS.search(name) and {one.strip() for one in SEPARATORS.split(name)} <= known)
    ]
    if several:
        remarks.add(f"taken for one class each: {enumerate_names(several)}; an image has one label")
    quoted = [name for name in classes if len(name) > 2 and name[0] == name[-1] == '"']
    if quoted:
        remarks.add(f"classes in quotes: {enumerate_names(quoted)}; in CSV a quote follows the comma at once")


def check_labels(values: Sequence[Any], classes: Sequence[str], source: str) -> np.ndarray:
    """Labels int64 [N] that are numbers of `classes` already; None, blank, NaN and -1 are no label.

    Raises:
        ImageSetError: a label is no number of a class.
    """
    names = _read_names(values, source, Remarks())
    try:
        labels = np.array([UNLABELLED if name is None else int(name) for name in names], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise ImageSetError(
            f"{source}: a label is no number of a class ({error}), although the classes are named"
        ) from error
    if len(labels) and not UNLABELLED <= labels.min() <= labels.max() < len(classes):
        raise ImageSetError(
            f"{source} has labels from {labels.min()} to {labels.max()}, but {len(classes)} classes; name all of them"
        )
    return labels


def remark_alike(names: Iterable[str], remarks: Remarks) -> None:
    """Says which classes differ in nothing but case, and which folders became one class."""
    written, folded = defaultdict(list), defaultdict(list)
    for name in names:
        written[name_class(name)].append(name)
    for name in written:
        folded[str(int(name)) if name.isdecimal() else name.casefold()].append(name)
    for group in written.values():
        if len(group) > 1:
            remarks.add(f"{' and '.join(map(repr, group))} are taken for one class")
    pairs = [" and ".join(group) for group in folded.values() if len(group) > 1]
    if pairs:
        remarks.add(
            f"classes that differ in upper and lower case, or in zeros in front, only: {enumerate_names(pairs)}"
        )


def _read_names(values: Sequence[Any], source: str, remarks: Remarks) -> list[str | None]:
    """The class name of each value, None if it is no label."""
    names: list[str | None] = []
    num_trimmed = num_marked = 0
    for row, value in enumerate(values, start=1):
        text = "" if value is None else _read_text(value, row, source)
        name = name_class(text) if text.strip() else ""
        num_trimmed += name != text and bool(name)
        is_label = name.lower() not in NO_LABEL
        num_marked += not is_label and text != ""
        names.append(name if is_label else None)
    if num_trimmed:
        what = (
            "1 label was trimmed: spaces around it"
            if num_trimmed == 1
            else f"{num_trimmed:,} labels were trimmed: spaces"
        )
        remarks.add(f"{what}, or another Unicode form")
    if num_marked:
        labels = "1 label is" if num_marked == 1 else f"{num_marked:,} labels are"
        remarks.add(f"{labels} blank, NaN or -1: taken as none, these images are unlabelled")
    # Numbers that once stood beside missing ones have become fractions: 1.0 is class 1.
    if any(names) and all(name is None or WHOLE.fullmatch(name) for name in names):
        return [None if name is None else name.partition(".")[0] for name in names]
    return names


def _read_text(value: Any, row: int, source: str) -> str:
    if isinstance(value, (list, tuple, dict, set, bytes)) or LIST.fullmatch(str(value).strip()):
        raise ImageSetError(
            f"{source}: the label in row {row} is {str(value)[:80]}, no word or number; an image has one label, "
            "so keep one, or put lists into another column"
        )
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return str(value)

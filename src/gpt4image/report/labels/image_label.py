"""All that was found about the label of one image, as pages show it."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpt4image.label.artifact import LabelTable

FEATURES = re.compile(r"-\d+-[0-9a-f]{8}$")
"""What the name of a net's features ends in: the size of its input and a hash of its weights."""


@dataclass(frozen=True)
class Opinion:
    """What one witness says, and how sure it deserves to be."""

    witness: str
    class_name: str
    sure: float


@dataclass(frozen=True)
class ImageLabel:
    """One image.

    Attributes:
        key: its name.
        digest: of its bytes.
        given: the label it came with, empty if none.
        proposed: what it most probably is, empty if that cannot be told.
        state: kept, overruled, completed, open or by_person.
        confidence: probability that `proposed` is right.
        none: probability that it is of none of the classes.
        doubt: log-odds that the given label is wrong, None without one.
        likeliest: classes and their probabilities, the likeliest first.
        opinions: of every witness that has one.
    """

    key: str
    digest: str
    given: str
    proposed: str
    state: str
    confidence: float
    none: float
    doubt: float | None
    likeliest: tuple[tuple[str, float], ...]
    opinions: tuple[Opinion, ...]


def read_image_labels(table: LabelTable, rows: Sequence[int] | np.ndarray) -> list[ImageLabel]:
    """What stands in these rows."""
    taken = table.rows.take(np.asarray(rows, dtype=np.int64))
    return [_read_row(table, row) for row in taken.to_pylist()]


def name_witness(name: str) -> str:
    """The name of a witness in words."""
    kind, _, rest = name.partition(":")
    if kind == "pick" and rest:
        return f"pick ({rest})"
    if kind == "names" and rest:
        return f"class names ({rest})"
    return f"image ({FEATURES.sub('', name)})" if FEATURES.search(name) else f"text ({name})"


def _read_row(table: LabelTable, row: dict[str, Any]) -> ImageLabel:
    likeliest = zip(row["classes"], row["probabilities"], strict=True)
    doubt = row["doubt"]
    return ImageLabel(
        key=row["key"],
        digest=row["digest"],
        given=row["given"] or "",
        proposed=row["proposed"] or "",
        state=row["state"],
        confidence=row["confidence"],
        none=row["none"],
        doubt=None if doubt is None or math.isnan(doubt) else doubt,
        likeliest=tuple((table.classes[number], float(probability)) for number, probability in likeliest),
        opinions=tuple(
            Opinion(name_witness(name), row[name], row[f"{name} sure"])
            for name in table.manifest["witnesses"]
            if row[name] is not None
        ),
    )

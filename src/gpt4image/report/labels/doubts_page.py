"""The page of labels to check, with images and texts in one file."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpt4image.label.artifact import LabelTable
from gpt4image.report.labels.doubts import Doubts, open_labelled
from gpt4image.report.labels.image_label import ImageLabel, read_image_labels
from gpt4image.report.labels.texts import read_texts
from gpt4image.report.page import write_image_page


class Shown(NamedTuple):
    """One image on the page, and what stands above its opinions."""

    place: int
    label: ImageLabel
    texts: Sequence[str]
    remark: str


def write_doubts_page(path: Path, table: LabelTable, doubts: Doubts, source: str | None, top: int) -> None:
    """Writes the first `top` of every list.

    Raises:
        ImageSetError: the images cannot be opened.
        LabelError: one is gone.
    """
    copies = [row for one in doubts.same_bytes[:top] for row in one]
    pairs = [(row, f"cosine {cosine:.3f}") for a, b, cosine in doubts.near_duplicates[:top] for row in (a, b)]
    found = [
        *(("Labels, most doubtful first", row, "") for row in doubts.ranked[:top].tolist()),
        *(("The same bytes in several classes", row, "") for row in copies),
        *(("All but the same picture, with different labels", row, remark) for row, remark in pairs),
        *(("Of none of the classes, or of one that cannot be told", row, "") for row in doubts.no_class[:top].tolist()),
    ]
    rows = np.array([row for _, row, _ in found], dtype=np.int64)
    labels = read_image_labels(table, rows)
    texts = read_texts(table.folder.parent.parent, {one.digest for one in labels})
    shown: dict[str, list[Shown]] = defaultdict(list)
    for place, ((heading, _, remark), one) in enumerate(zip(found, labels, strict=True)):
        shown[heading].append(Shown(place, one, texts.get(one.digest, []), remark))
    facts: dict[str, Any] = {"num_ranked": len(doubts.ranked), "num_overruled": doubts.num_overruled}
    images = open_labelled(table, source, rows)
    write_image_page(path, "label_errors.html.j2", images, name=table.folder.name, lists=shown, top=top, **facts)

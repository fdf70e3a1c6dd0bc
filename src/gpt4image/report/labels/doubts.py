"""What is doubtful in a set of labels: each label by itself, and images that contradict each other."""

from dataclasses import dataclass, field

import numpy as np

from gpt4image.errors import Gpt4ImageError
from gpt4image.images import ImageSet, open_images
from gpt4image.images.image_set import ImageStore
from gpt4image.images.scan import find_conflicts
from gpt4image.label.artifact import LabelTable
from gpt4image.report.labels.near_duplicates import MOST_COMPARED, find_near_duplicates


@dataclass(frozen=True)
class Doubts:
    """Rows of a table of labels.

    Attributes:
        ranked: those with a given label that no person has looked at, most doubtful first.
        num_overruled: how many of them are overruled.
        num_by_person: labels that a person has looked at.
        same_bytes: rows of the same bytes with several labels.
        near_duplicates: pairs with different labels that are all but the same, and their cosine.
        threshold: cosine from which a pair counts, None if none were compared.
        no_class: open images, the least likely to be of any class first.
        skipped: what was not looked for, and why.
    """

    ranked: np.ndarray
    num_overruled: int
    num_by_person: int
    same_bytes: list[list[int]]
    near_duplicates: list[tuple[int, int, float]]
    threshold: float | None
    no_class: np.ndarray
    skipped: list[str] = field(default_factory=list)


def find_doubts(table: LabelTable, source: str | None = None) -> Doubts:
    """Looks through labels.

    Args:
        table: the labels.
        source: where the images are now; where they were labelled if None.
    """
    columns = {name: table.rows[name].to_numpy() for name in ("doubt", "none")}
    states = np.array(table.rows["state"].to_pylist())
    labels, by_person = table.numbers("given"), states == "by_person"
    rankable = np.flatnonzero(~np.isnan(columns["doubt"]) & ~by_person & (labels >= 0))
    ranked = rankable[np.argsort(-columns["doubt"][rankable], kind="stable")]
    is_open = np.flatnonzero(states == "open")
    skipped: list[str] = []
    # To compare bytes the images need not be there.
    nowhere = ImageSet("", table.rows["key"].to_pylist(), labels, table.classes, ImageStore(), np.arange(len(labels)))
    pairs, threshold = _find_pairs(table, source, labels, ranked, skipped)
    return Doubts(
        ranked=ranked,
        num_overruled=int((states[ranked] == "overruled").sum()),
        num_by_person=int((by_person & (labels >= 0)).sum()),
        same_bytes=find_conflicts(nowhere, table.rows["digest"].to_pylist()),
        near_duplicates=pairs,
        threshold=threshold,
        no_class=is_open[np.argsort(-columns["none"][is_open], kind="stable")],
        skipped=skipped,
    )


def open_labelled(table: LabelTable, source: str | None, rows: np.ndarray) -> ImageSet:
    """The images of these rows.

    Raises:
        ImageSetError: they cannot be opened.
        LabelError: an image is gone.
    """
    from gpt4image.errors import LabelError

    place = source or table.manifest["source"]
    images = open_images(place)
    position = {key: index for index, key in enumerate(images.keys)}
    keys = table.rows["key"].take(rows).to_pylist()
    if lost := [key for key in keys if key not in position]:
        raise LabelError(f"{place} has no image {lost[0]} any more; say where it is with --images, or label again")
    return images.subset(np.array([position[key] for key in keys], dtype=np.int64))


def _find_pairs(
    table: LabelTable, source: str | None, labels: np.ndarray, ranked: np.ndarray, skipped: list[str]
) -> tuple[list[tuple[int, int, float]], float | None]:
    """Near-duplicates among the labelled images, each picture once; appends to `skipped` what cannot be looked for."""
    from gpt4image.models.frozen import find_frozen
    from gpt4image.models.image_features import load_image_features

    used = table.manifest.get("features")
    if not used:
        skipped.append("near-duplicates; the labels were weighed without features of the images")
        return [], None
    digests = np.array(table.rows["digest"].to_pylist())
    candidates = np.concatenate([ranked, np.setdiff1d(np.flatnonzero(labels >= 0), ranked)]).astype(np.int64)
    _, first = np.unique(digests[candidates], return_index=True)
    rows = candidates[np.sort(first)]
    if len(rows) > MOST_COMPARED:
        skipped.append(f"near-duplicates beyond the {MOST_COMPARED:,} most doubtful labels")
        rows = rows[:MOST_COMPARED]
    try:
        images = open_labelled(table, source, rows)
        backbone = find_frozen(used["model"], used["input_size"])
        features = load_image_features(images, digests[rows].tolist(), backbone)
    except Gpt4ImageError as error:
        skipped.append(f"near-duplicates; {error}")
        return [], None
    pairs, threshold = find_near_duplicates(features.vectors[features.rows], labels[rows])
    return [(int(rows[a]), int(rows[b]), cosine) for a, b, cosine in pairs], threshold

"""What the gallery shows: every image of a store with all that was written about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from gpt4image.describe.store.connect import FILE_NAME
from gpt4image.describe.store.edits import read_queued, read_undoable
from gpt4image.describe.store.rows import Description, Name
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.label.artifact import LabelTable
from gpt4image.report.gallery.marks import EDITED, find_marks


class Weighed(NamedTuple):
    """The label of an image; words are empty where there is none."""

    given: str
    proposed: str
    state: str
    confidence: float


@dataclass(frozen=True)
class Entry:
    """One image.

    Attributes:
        digest: SHA-256 of its bytes.
        key: its name.
        class_name: empty if it has none.
        descriptions: ordered by prompt, describer, sample.
        marks: for each description, what there is to say about it, such as `duplicates` or `edited`.
        queued: descriptions that a person took out, to be asked for again.
        undoable: whether a person's change can be undone.
        label: what was found about its class, None without weighed labels.
    """

    digest: str
    key: str
    class_name: str
    descriptions: Sequence[Description] = ()
    marks: Sequence[tuple[str, ...]] = ()
    queued: Sequence[Name] = ()
    undoable: bool = False
    label: Weighed | None = None


def read_entries(work: Path, lint: bool = True, table: LabelTable | None = None) -> list[Entry]:
    """Reads a store, and the labels if there are some, ordered by key.

    Args:
        work: folder of the store.
        lint: mark the descriptions that fail a check.
        table: weighed labels of the same images.

    Raises:
        DescriptionError: there is neither a store nor labels.
    """
    described = [] if table is not None and not (work / FILE_NAME).exists() else _read_store(work, lint)
    labels = {} if table is None else read_labels(table)
    entries = [replace(entry, label=labels[entry.digest][1] if entry.digest in labels else None) for entry in described]
    known = {entry.digest for entry in described}
    entries += [
        Entry(digest, key, label.given, label=label) for digest, (key, label) in labels.items() if digest not in known
    ]
    return sorted(entries, key=lambda entry: entry.key)


def read_labels(table: LabelTable) -> dict[str, tuple[str, Weighed]]:
    """Key and label of every image by its digest."""
    columns = ("digest", "key", "given", "proposed", "state", "confidence")
    rows = zip(*(table.rows[name].to_pylist() for name in columns), strict=True)
    return {
        digest: (key, Weighed(given or "", proposed or "", state, round(confidence, 3)))
        for digest, key, given, proposed, state, confidence in rows
    }


def _read_store(work: Path, lint: bool) -> list[Entry]:
    with DescriptionStore.open(work) as store:
        images = {image.digest: image for image in store.images()}
        descriptions = list(store.descriptions())
    marks = find_marks(descriptions, images) if lint else {}
    found: dict[str, list[Description]] = {digest: [] for digest in images}
    for description in descriptions:
        found.setdefault(description.digest, []).append(description)
    queued, undoable = read_queued(work), read_undoable(work)
    entries = []
    for digest, several in found.items():
        image = images.get(digest)
        key, class_name = (image.key, image.class_name or "") if image else (digest, "")
        own = tuple(marks.get(one.name, ()) + _edited(one) for one in several)
        queue = queued.get(digest, ())
        entries.append(Entry(digest, key, class_name, tuple(several), own, queue, digest in undoable))
    return entries


def read_entry(work: Path, entry: Entry) -> Entry:
    """The entry as it is in the store now; a text that changed loses the marks of the one before."""
    before = dict(zip(entry.descriptions, entry.marks, strict=True))
    names = {description.name for description in entry.descriptions} | set(entry.queued)
    with DescriptionStore.open(work) as store:
        found = [store.find([name.digest], name.prompt, name.describer, name.sample) for name in sorted(names)]
    descriptions = tuple(description for one in found for description in one.values())
    return replace(
        entry,
        descriptions=descriptions,
        marks=tuple(before.get(description, _edited(description)) for description in descriptions),
        queued=read_queued(work).get(entry.digest, ()),
        undoable=entry.digest in read_undoable(work),
    )


def _edited(description: Description) -> tuple[str, ...]:
    return () if description.author == "describer" else (EDITED,)

"""What the gallery shows: every image of a store with all that was written about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpt4image.describe.store.edits import read_queued, read_undoable
from gpt4image.describe.store.rows import Description, Name
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.report.gallery.marks import EDITED, find_marks


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
    """

    digest: str
    key: str
    class_name: str
    descriptions: Sequence[Description] = ()
    marks: Sequence[tuple[str, ...]] = ()
    queued: Sequence[Name] = ()
    undoable: bool = False


def read_entries(work: Path, lint: bool = True) -> list[Entry]:
    """Reads a store, ordered by key.

    Args:
        work: folder of the store.
        lint: mark the descriptions that fail a check.

    Raises:
        DescriptionError: there is no store.
    """
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
    return sorted(entries, key=lambda entry: entry.key)


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

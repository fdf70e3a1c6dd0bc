"""What the gallery shows: every image of a store with all that was written about it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpt4image.describe.store import Description, DescriptionStore
from gpt4image.report.edits import Name, read_queued, read_undoable

DUPLICATE, EDITED = "duplicate", "edited"
NO_CLASS = ""


@dataclass(frozen=True)
class Entry:
    """One image.

    Attributes:
        digest: SHA-256 of its bytes.
        key: its name.
        class_name: empty if it has none.
        descriptions: ordered by prompt, describer, sample.
        marks: for each description, what there is to say about it, such as `duplicate`.
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


def read_entries(work: Path) -> list[Entry]:
    """Reads a store, ordered by key.

    Raises:
        DescriptionError: there is no store.
    """
    with DescriptionStore.open(work) as store:
        images = {
            image.digest: Entry(image.digest, image.key, image.class_name or NO_CLASS) for image in store.images()
        }
        found: dict[str, list[Description]] = {digest: [] for digest in images}
        for description in store.descriptions():
            found.setdefault(description.digest, []).append(description)
    repeated = find_repeated(description for several in found.values() for description in several)
    entries = [images.get(digest, Entry(digest, digest, NO_CLASS)) for digest in found]
    queued, undoable = read_queued(work), read_undoable(work)
    filled = (
        replace(
            entry,
            descriptions=tuple(found[entry.digest]),
            queued=queued.get(entry.digest, ()),
            undoable=entry.digest in undoable,
        )
        for entry in entries
    )
    return sorted((mark(entry, repeated) for entry in filled), key=lambda entry: entry.key)


def read_entry(work: Path, entry: Entry) -> Entry:
    """The entry as it is in the store now; whether its texts are duplicates is not looked up again."""
    names = {Name(d.digest, d.prompt, d.describer, d.sample) for d in entry.descriptions} | set(entry.queued)
    with DescriptionStore.open(work) as store:
        found = [store.find([name.digest], name.prompt, name.describer, name.sample) for name in sorted(names)]
    descriptions = tuple(description for one in found for description in one.values())
    queued, undoable = read_queued(work).get(entry.digest, ()), entry.digest in read_undoable(work)
    return mark(replace(entry, descriptions=descriptions, queued=queued, undoable=undoable), frozenset())


def find_repeated(descriptions: Iterable[Description]) -> frozenset[tuple[str, str]]:
    """The (prompt, text) pairs that stand at more than one image."""
    images = Counter(
        (prompt, text) for prompt, text, _ in {(d.prompt, d.text, d.digest) for d in descriptions if d.text}
    )
    return frozenset(pair for pair, count in images.items() if count > 1)


def mark(entry: Entry, repeated: frozenset[tuple[str, str]]) -> Entry:
    """The entry with the marks of its descriptions."""
    return replace(entry, marks=tuple(_marks(description, repeated) for description in entry.descriptions))


def _marks(description: Description, repeated: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    edited = (EDITED,) if description.author != "describer" else ()
    return ((DUPLICATE,) if (description.prompt, description.text) in repeated else ()) + edited

"""The replay describer: takes descriptions from a file instead of asking a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from gpt4image.describe.asking.refusals import judge_text
from gpt4image.describe.replay.matching import COLUMNS, ImageMatcher
from gpt4image.describe.replay.rows import Row, read_rows
from gpt4image.describe.store.store import Description, DescriptionStore
from gpt4image.errors import DescriptionError
from gpt4image.images import ImageSet, Scan
from gpt4image.progress import track

BATCH_SIZE = 500


@dataclass
class ReplayCounts:
    """What a replay did: descriptions by `kept`, `new` and `redone`, rows about other images."""

    kept: int = 0
    new: int = 0
    redone: int = 0
    rows_about_other_images: int = 0
    rows_matched: int = 0
    example_row: Row = field(default_factory=dict)


def replay(
    images: ImageSet, scan: Scan, store: DescriptionStore, path: Path, fields: Sequence[str], describer: str
) -> ReplayCounts:
    """Writes the descriptions of a file into the store; each field becomes the prompt of its name.

    Args:
        images: the images the file is about, all or some of them.
        scan: their digests.
        store: where the descriptions go.
        path: JSON lines, CSV or Parquet.
        fields: columns that hold descriptions.
        describer: the name they get in the store.

    Raises:
        DescriptionError: the file cannot be read, has none of the fields, or is about other images only.
    """
    counts = ReplayCounts()
    matched = _match(images, scan, path, counts)
    with track("replaying descriptions", len(images)) as tracker:
        while batch := list(islice(matched, BATCH_SIZE)):
            for name in fields:
                texts = {scan.digests[index]: text for index, row in batch if (text := _text(row, name))}
                _write(store, texts, name, describer, counts)
            tracker.advance(len(batch))
    _refuse_nothing(images, path, fields, counts)
    return counts


def _match(images: ImageSet, scan: Scan, path: Path, counts: ReplayCounts) -> Iterator[tuple[int, Row]]:
    matcher = ImageMatcher(images.keys, scan.digests, path.parent, images.location)
    for row in read_rows(path):
        counts.example_row = counts.example_row or row
        index = matcher.find(row)
        if index is None:
            counts.rows_about_other_images += 1
        else:
            counts.rows_matched += 1
            if scan.readable[index]:
                yield index, row


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _write(store: DescriptionStore, texts: dict[str, str], prompt: str, describer: str, counts: ReplayCounts) -> None:
    known = store.find(list(texts), prompt, describer)
    kept = {d for d, old in known.items() if old.text == texts[d] or old.author != "describer"}
    rows = [
        Description(digest, prompt, describer, state=judge_text(text), text=text)
        for digest, text in texts.items()
        if digest not in kept
    ]
    store.write(rows)
    counts.kept += len(kept)
    counts.redone += len(known) - len(kept)
    counts.new += len(rows) - len(known) + len(kept)


def _refuse_nothing(images: ImageSet, path: Path, fields: Sequence[str], counts: ReplayCounts) -> None:
    if not counts.example_row:
        raise DescriptionError(f"{path} has no rows; it must hold one row an image")
    named = {name: counts.example_row[name] for name in COLUMNS if name in counts.example_row}
    if not counts.rows_matched:
        raise DescriptionError(
            f"{path} describes none of the images of {images.source}: the file has "
            f"{named or list(counts.example_row)}, the images have keys such as {images.keys[0]!r}; "
            f"a row names its image by {', '.join(COLUMNS)}"
        )
    if counts.kept + counts.new + counts.redone == 0:
        raise DescriptionError(
            f"{path} has no text in {', '.join(map(repr, fields))}; its fields are {', '.join(counts.example_row)}: "
            "choose with --field"
        )

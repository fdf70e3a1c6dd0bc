"""`gpt4image describe-import`: takes descriptions from files of other programs into the store."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.describe.asking.advice import advise
from gpt4image.describe.store.states import SETTLED, State
from gpt4image.errors import DescriptionError
from gpt4image.results import ExitStatus, StageResult

if TYPE_CHECKING:
    from gpt4image.describe.store.rows import Description
    from gpt4image.describe.store.store import DescriptionStore

BATCH_SIZE = 50_000
"""Descriptions written at a time: few large writes, each in the order of the store's index, fill it quickly."""


@dataclass(frozen=True)
class ImportSettings:
    """Takes descriptions from a file into WORK/descriptions.sqlite.

    Attributes:
        work: the work folder.
        file: JSON lines, CSV, Parquet, a Hugging Face metadata.jsonl, answers to a batch file (OpenAI or vllm
            run-batch), a folder of .txt or .caption side-cars, or the paper's .pth list.
        images: the images they are about; not needed if the store knows them.
        field: columns that hold descriptions, each becomes the prompt of its name; description, text or caption
            if not given.
        prompt: name of the prompt in the store, instead of the column's.
        describer: name of the describer in the store.
    """

    work: Path
    file: Path
    images: str | None = None
    field: tuple[str, ...] = ()
    prompt: str | None = None
    describer: str = "import"


@dataclass(frozen=True)
class ImportResult(StageResult):
    """What was taken in.

    Attributes:
        store: the SQLite file.
        written: descriptions written.
        kept: descriptions that were there already, or edited by a person.
        states: number of those written in each state.
        errors: the most frequent error of each failed state among them.
        unknown: rows about images that are not known.
        example: one of them.
        without_text: rows about images that are known, but without any text.
        unreadable: rows about images that cannot be read: they are left out.
    """

    store: Path
    written: int
    kept: int
    states: dict[str, int]
    unknown: int
    example: str
    without_text: int = 0
    unreadable: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.PARTLY if self.unknown or self.unreadable or set(self.states) - {"ok"} else ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        yield f"{self.written:,} descriptions written, {self.kept:,} kept"
        for state, number in self.states.items():
            error = self.errors.get(state, "")
            yield f"  {state}: {number:,}" + (f", most often: {error}; {advise(State(state), error)}" if error else "")
        if self.unknown:
            yield f"{self.unknown:,} rows are about images that are not known, such as {self.example}"
        if self.without_text:
            yield f"{self.without_text:,} rows have no text"
        if self.unreadable:
            yield f"{self.unreadable:,} rows are about images that cannot be read"
        yield f"store: {self.store}"


def import_descriptions(settings: ImportSettings) -> ImportResult:
    """Reads `settings.file` into the store.

    Raises:
        DescriptionError: the file cannot be read, is about other images only, or stands where WORK should.
        ImageSetError: the images cannot be opened.
    """
    from gpt4image.describe.exchange.rows_to_descriptions import RowReader
    from gpt4image.describe.replay.matching import ImageMatcher
    from gpt4image.describe.replay.rows import TEXT_FIELDS, read_any
    from gpt4image.describe.store.connect import FILE_NAME
    from gpt4image.describe.store.registration import register_images
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.images import open_images, scan_images

    if settings.work.is_file() or (settings.file / FILE_NAME).exists():
        right = f"gpt4image describe-import {settings.file} {settings.work}"
        raise DescriptionError(f"{settings.work} is no work folder; WORK stands first, then FILE: {right}")
    images = None if settings.images is None else open_images(settings.images)
    folder = settings.file if settings.file.is_dir() else settings.file.parent
    with DescriptionStore.open(settings.work, create=images is not None) as store:
        if images is None:
            seen, unreadable = list(store.images()), set[int]()
            matcher = ImageMatcher([image.key for image in seen], [image.digest for image in seen], folder)
        else:
            scan = scan_images(images)
            register_images(images, scan, store, (), "")
            matcher = ImageMatcher(images.keys, scan.digests, folder, images.location)
            unreadable = set((~scan.readable).nonzero()[0].tolist())
        what = settings.field, settings.prompt, settings.describer
        readers = [RowReader(store, matcher, *what, unreadable) for _ in range(2)]
        # A file with a mistake in it is refused before anything of it is written.
        deque(readers[0].read(read_any(settings.file, images)), maxlen=0)
        reader = readers[1]
        states, kept, errors = _write(store, reader.read(read_any(settings.file, images)))
        if reader.num_without_text and not kept + len(states):
            named = " or ".join(settings.field or TEXT_FIELDS)
            raise DescriptionError(
                f"{settings.file} has no text in {named}, in {reader.num_without_text:,} rows about these images; "
                "choose the column with --field"
            )
        if not kept + len(states) + reader.num_matched:
            raise DescriptionError(
                f"{settings.file} is about none of the images of {settings.images or store.path}, its rows are such as "
                f"{reader.example or '(none)'}; give the images with --images, and texts with --field"
            )
        tally = Counter(map(str, states.values()))
        doubtful = reader.num_unknown, reader.example, reader.num_without_text, reader.num_unreadable
        return ImportResult(store.path, len(states), kept, dict(tally), *doubtful, errors)


def _write(
    store: "DescriptionStore", descriptions: Iterator["Description"]
) -> tuple[dict[int, State], int, dict[str, str]]:
    """Writes descriptions in batches; what a person has edited, is the same already, or is better is kept.

    Returns:
        by the hash of its name the state of each that was written (of those that stand twice in a file the last
        usable one counts), the number of those kept, and the most frequent error of each state.
    """
    states: dict[int, State] = {}
    errors: Counter[tuple[str, str]] = Counter()
    kept = 0
    while batch := list(islice(descriptions, BATCH_SIZE)):
        # Of several about the same, the last usable one; all that failed come before those that did not.
        best = {one.name: one for one in sorted(batch, key=lambda one: one.state in SETTLED)}
        new = [best[name] for name in sorted(best) if not store.holds(best[name])]
        store.write(new)
        kept += sum(hash(name) not in states for name in best) - sum(hash(one.name) not in states for one in new)
        states.update((hash(description.name), description.state) for description in new)
        errors.update((str(description.state), description.error) for description in new if description.error)
    return states, kept, {state: error for (state, error), _ in reversed(errors.most_common())}

"""`gpt4image describe-export`: writes descriptions as files for other programs."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpt4image.errors import DescriptionError
from gpt4image.files import atomic_path
from gpt4image.results import StageResult

Row = dict[str, Any]


@dataclass(frozen=True)
class ExportDescriptionsSettings:
    """Writes the descriptions of WORK/descriptions.sqlite into a file.

    Attributes:
        work: the work folder.
        file: .jsonl, .csv or .parquet with all columns; a name ending in metadata.jsonl gets file_name and text as
            Hugging Face datasets reads them; a folder gets .txt side-cars.
        prompt: only this prompt's; must be given for side-cars and metadata if there are several.
        describer: only this describer's.
        all_states: also those that failed; otherwise only ok ones.
    """

    work: Path
    file: Path
    prompt: str | None = None
    describer: str | None = None
    all_states: bool = False


@dataclass(frozen=True)
class ExportDescriptionsResult(StageResult):
    """What was written: how many descriptions, and where."""

    descriptions: int
    file: Path

    def lines(self) -> Iterator[Any]:
        yield f"{self.descriptions:,} descriptions written to {self.file}"


def export_descriptions(settings: ExportDescriptionsSettings) -> ExportDescriptionsResult:
    """Writes the descriptions, ordered by digest, in constant memory.

    Raises:
        DescriptionError: there are none, or the form takes one text an image and there are more.
    """
    from gpt4image.describe.store.store import DescriptionStore

    write = _choose_writer(settings.file)
    with DescriptionStore.open(settings.work) as store:
        number = write(settings.file, _rows(store, settings))
    if not number:
        raise DescriptionError(f"{settings.work} has no such descriptions; see gpt4image lint {settings.work}")
    return ExportDescriptionsResult(number, settings.file)


def _rows(store: Any, settings: ExportDescriptionsSettings) -> Iterator[Row]:
    from gpt4image.describe.store.states import State

    images = {image.digest: image for image in store.images()}
    state = None if settings.all_states else State.OK
    for description in store.descriptions(settings.prompt, settings.describer, state):
        image = images.get(description.digest)
        named = {"key": image.key, "class_name": image.class_name} if image else {"key": None, "class_name": None}
        yield named | asdict(description)


def _choose_writer(file: Path) -> Callable[[Path, Iterator[Row]], int]:
    if file.name.endswith("metadata.jsonl"):
        return _write_metadata
    writers = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet, "": _write_sidecars}
    if file.suffix not in writers:
        raise DescriptionError(f"{file} must end in .jsonl, .csv or .parquet, or be a folder for .txt side-cars")
    return writers[file.suffix]


def _write_jsonl(file: Path, rows: Iterator[Row]) -> int:
    number = 0
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8") as output:
        for row in rows:
            output.write(json.dumps(row, ensure_ascii=False) + "\n")
            number += 1
    return number


def _write_metadata(file: Path, rows: Iterator[Row]) -> int:
    return _write_jsonl(file, ({"file_name": row["key"], "text": row["text"]} for row in _one_an_image(rows)))


def _write_csv(file: Path, rows: Iterator[Row]) -> int:
    number, writer = 0, None
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as output:
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(output, row)
                writer.writeheader()
            writer.writerow(row)
            number += 1
    return number


def _write_parquet(file: Path, rows: Iterator[Row]) -> int:
    from itertools import islice

    import pyarrow as pa
    from pyarrow import parquet

    number, writer = 0, None
    with atomic_path(file) as temporary:
        while batch := list(islice(rows, 10_000)):
            table = pa.Table.from_pylist(batch, None if writer is None else writer.schema)
            writer = writer or parquet.ParquetWriter(temporary, _nullable_strings(table.schema))
            writer.write_table(table.cast(writer.schema))
            number += len(batch)
        if writer is not None:
            writer.close()
        else:
            temporary.touch()
    return number


def _nullable_strings(schema: Any) -> Any:
    """A column that has no value in the first batch may have texts later."""
    import pyarrow as pa

    return pa.schema([field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema])


def _write_sidecars(folder: Path, rows: Iterator[Row]) -> int:
    number = 0
    for row in _one_an_image(rows):
        file = folder / Path(row["key"]).with_suffix(".txt")
        if not file.resolve().is_relative_to(folder.resolve()):
            raise DescriptionError(f"the image {row['key']} lies outside its folder; export to .jsonl instead")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row["text"] + "\n", encoding="utf-8")
        number += 1
    return number


def _one_an_image(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, checked that no image has two texts."""
    before = None
    for row in rows:
        if row["digest"] == before:
            raise DescriptionError(
                f"{row['key']} has more than one description; choose with --prompt and --describer, or export to .jsonl"
            )
        before = row["digest"]
        yield row

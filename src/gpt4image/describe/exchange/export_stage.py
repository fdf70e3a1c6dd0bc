"""`gpt4image describe-export`: writes descriptions as files for other programs."""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from gpt4image.describe.prompts.pick_names import split_answers
from gpt4image.describe.prompts.prompt_names import find_prompts
from gpt4image.errors import DescriptionError
from gpt4image.files import atomic_path, remove_left_over
from gpt4image.results import StageResult

Row = dict[str, Any]
IMAGE_COLUMNS = ("key", "class_name")


@dataclass(frozen=True)
class ExportDescriptionsSettings:
    """Writes the descriptions of WORK/descriptions.sqlite into a file.

    Attributes:
        work: the work folder.
        file: .jsonl, .csv or .parquet with all columns; a name ending in metadata.jsonl gets file_name and text as
            Hugging Face datasets reads them; a folder gets .txt side-cars.
        prompt: only this prompt's; must be given for side-cars and metadata if there are several that describe.
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
    from gpt4image.describe.store.states import State
    from gpt4image.describe.store.store import DescriptionStore

    write = _choose_writer(settings.file)
    with DescriptionStore.open(settings.work) as store:
        known = list(store.prompts())
        prompts = known if settings.prompt is None else find_prompts(settings.prompt, known)
        if settings.prompt is None and write in (_write_metadata, _write_sidecars):
            # The forms with one text an image take no picks unless they are named.
            prompts = split_answers(known)[1]
        counted = [store.counts(prompt, settings.describer) for prompt in prompts]
        number = sum(sum(one.values()) if settings.all_states else one.get(State.OK, 0) for one in counted)
        if not number:
            raise DescriptionError(f"{settings.work} has no such descriptions; see gpt4image lint {settings.work}")
        images = {image.digest: dict(zip(IMAGE_COLUMNS, image[1:], strict=True)) for image in store.images()}
        unknown = dict.fromkeys(IMAGE_COLUMNS)
        only = prompts[0] if len(prompts) == 1 else None
        found = store.descriptions(only, settings.describer, None if settings.all_states else State.OK)
        rows = (images.get(one.digest, unknown) | asdict(one) for one in found if one.prompt in prompts)
        write(settings.file, rows)
    return ExportDescriptionsResult(number, settings.file)


def _choose_writer(file: Path) -> Callable[[Path, Iterator[Row]], None]:
    if file.name.endswith("metadata.jsonl"):
        return _write_metadata
    writers = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet, "": _write_sidecars}
    if file.suffix not in writers:
        raise DescriptionError(f"{file} must end in .jsonl, .csv or .parquet, or be a folder for .txt side-cars")
    return writers[file.suffix]


def _write_jsonl(file: Path, rows: Iterator[Row]) -> None:
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8") as output:
        output.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_metadata(file: Path, rows: Iterator[Row]) -> None:
    _write_jsonl(file, ({"file_name": row["key"], "text": row["text"]} for row in _one_an_image(rows)))


def _write_csv(file: Path, rows: Iterator[Row]) -> None:
    from gpt4image.describe.store.rows import COLUMNS

    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as output:
        writer = csv.DictWriter(output, IMAGE_COLUMNS + COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(file: Path, rows: Iterator[Row]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    from gpt4image.describe.store.rows import Description

    numbers: dict[Any, Any] = {int: pa.int64(), float: pa.float64()}
    columns = [(column.name, numbers.get(column.type, pa.string())) for column in fields(Description)]
    schema = pa.schema([(name, pa.string()) for name in IMAGE_COLUMNS] + columns)
    with atomic_path(file) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while batch := list(islice(rows, 10_000)):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def _write_sidecars(folder: Path, rows: Iterator[Row]) -> None:
    texts = {row["key"]: row["text"] for row in _one_an_image(rows)}
    stems = Counter(Path(key).with_suffix("") for key in texts)
    files: dict[Path, str] = {}
    for key, text in texts.items():
        # Of cat.jpg and cat.png the text of each is named after the whole name.
        path = Path(key)
        file = folder / (f"{key}.txt" if stems[path.with_suffix("")] > 1 else path.with_suffix(".txt"))
        if not file.resolve().is_relative_to(folder.resolve()):
            raise DescriptionError(f"the image {key} lies outside its folder; export to .jsonl instead")
        files[file] = text + "\n"
    others = [file for file, text in files.items() if file.exists() and file.read_bytes() != text.encode()]
    if others:
        raise DescriptionError(
            f"{others[0]} is there already and says something else, {len(others):,} such files in all; choose another "
            "folder, or move them away"
        )
    # Of 100,000 files in a folder `atomic_path` would look through all for each.
    remove_left_over(folder / "side-car")
    temporary = folder / f".side-car.{os.getpid()}.tmp"
    for file in [file for file in files if not file.exists()]:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(files[file], encoding="utf-8")
        temporary.replace(file)


def _one_an_image(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, checked that no image has two texts, and no name two images."""
    seen = set[str]()
    for _, (row, *others) in groupby(rows, key=itemgetter("digest")):
        if others:
            raise DescriptionError(
                f"{row['key']} has more than one description; choose with --prompt and --describer, or export to .jsonl"
            )
        if row["key"] in seen:
            raise DescriptionError(
                f"two images are called {row['key']}: it was replaced, or two sets lie in this work folder; export to "
                ".jsonl, where the digest tells them apart"
            )
        seen.add(row["key"])
        yield row

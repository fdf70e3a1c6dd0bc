"""Reads descriptions somebody has written before, row by row: JSON lines, CSV or Parquet."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpt4image.errors import DescriptionError

Row = dict[str, Any]
SUFFIXES = (".jsonl", ".csv", ".parquet")


def read_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a file, in constant memory.

    Raises:
        DescriptionError: there is no such file, or it is not what its name says.
    """
    require_file(path)
    match path.suffix.lower():
        case ".jsonl":
            return _read_jsonl(path)
        case ".csv":
            return _read_csv(path)
        case _:
            return _read_parquet(path)


def require_file(path: Path) -> None:
    """Checks that `read_rows` will take the file.

    Raises:
        DescriptionError: it will not.
    """
    if not path.is_file():
        raise DescriptionError(f"{path} does not exist; give the file that holds the descriptions")
    if path.suffix.lower() not in SUFFIXES:
        raise DescriptionError(f"{path} is of no known form; the name must end in {', '.join(SUFFIXES)}")


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DescriptionError(f"{path}, line {number} is no JSON: {error}; mend or remove the line") from error
            if not isinstance(row, dict):
                raise DescriptionError(f"{path}, line {number} is no JSON object; each line must be one, {{...}}")
            yield row


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1024):
            yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise DescriptionError(f"{path} cannot be read as parquet: {error}") from error

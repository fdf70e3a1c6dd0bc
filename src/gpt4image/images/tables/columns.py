"""Reads lists as columns: CSV, JSON lines and Parquet, complete, or with the line that is wrong."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from gpt4image.errors import ImageSetError

LARGEST_FIELD = 1 << 30
PARQUET_ROWS = 1024
DELIMITERS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Reads a CSV, Parquet or JSON lines file as columns; missing values are None, or empty in CSV.

    In CSV everything stays text: a class called 007 must not become the number 7.

    Raises:
        ImageSetError: the file is not what its name says; the message names the line.
    """
    match path.suffix.lower():
        case ".csv":
            return _read_csv(path)
        case ".parquet":
            from pyarrow import parquet

            with _parquet_errors(path):
                table = parquet.read_table(path)
                check_header(table.column_names, path)
                return table.to_pydict()
    rows = [row for _, row in _read_objects(path)]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        ImageSetError: it is in neither, or cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageSetError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = data.decode(_find_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ImageSetError(f"{path}, line {line} is not in UTF-8; save the file as UTF-8") from error
    if _is_full_of_zeros(text):
        raise ImageSetError(
            f"{path}, line 1 is full of zero bytes, as in UTF-16 without its mark; save the file as UTF-8"
        )
    return text


def _find_encoding(data: bytes) -> str:
    return next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")


def _is_full_of_zeros(text: str) -> bool:
    return text[:200].count("\0") > len(text[:200]) // 4


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """As `read_text`, but line by line, in constant memory."""
    try:
        with path.open("rb") as file:
            encoding = _find_encoding(file.read(4))
        with path.open(encoding=encoding, newline="") as text:
            if _is_full_of_zeros(text.read(200)):
                read_text(path)
            text.seek(0)
            yield text
    except UnicodeDecodeError:
        read_text(path)  # Knows the line.
        raise
    except OSError as error:
        raise ImageSetError(f"{path} cannot be read: {error.strerror}") from error


def read_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of such a file one by one, each with the number of its first line; in Parquet, of the row.

    Raises:
        ImageSetError: the file is not what its name says; the message names the line.
    """
    match path.suffix.lower():
        case ".csv":
            rows = _read_csv_rows(path)
            header = next(rows)[1]
            for line, fields in rows:
                yield line, {name: value for name, value in zip(header, fields, strict=True) if name}
        case ".parquet":
            from pyarrow import parquet

            with _parquet_errors(path), parquet.ParquetFile(path) as file:
                check_header(file.schema_arrow.names, path)
                batches = file.iter_batches(batch_size=PARQUET_ROWS)
                yield from enumerate((row for batch in batches for row in batch.to_pylist()), start=1)
        case _:
            yield from _read_objects(path)


def _read_csv(path: Path) -> dict[str, list[Any]]:
    rows = _read_csv_rows(path)
    header = next(rows)[1]
    columns: list[list[Any]] = [[] for _ in header]
    for _, fields in rows:
        for column, value in zip(columns, fields, strict=True):
            column.append(value)
    return {name: column for name, column in zip(header, columns, strict=True) if name}


def _read_csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The header, then each row with as many fields as the header."""
    before = csv.field_size_limit(LARGEST_FIELD)
    try:
        rows = _read_fields(path)
        header = [name.strip() for name in next(rows, (1, []))[1]]
        check_header(header, path)
        yield 1, header
        for line, fields in rows:
            while len(fields) > len(header) and fields[-1] == "":
                fields.pop()
            if len(fields) != len(header):
                raise ImageSetError(
                    f"{path}, line {line} has {len(fields)} fields, but the header has {len(header)} "
                    f"({show_names(header)}); a text with commas or line breaks stands in quotes"
                )
            yield line, fields
    finally:
        csv.field_size_limit(before)


def _read_fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line of each row that is not blank, and its fields."""
    with _open_text(path) as text:
        first = text.readline()
        delimiter = max(DELIMITERS, key=lambda mark: (first.count(mark) > 0, -DELIMITERS.index(mark)))
        has_spaces = f"{delimiter} " in first
        reader = csv.reader(chain([first], text), delimiter=delimiter, strict=True, skipinitialspace=has_spaces)
        line = 1
        try:
            for fields in reader:
                if any(fields):  # Spreadsheets leave rows of nothing but separators.
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise ImageSetError(
                f"{path}, line {line}: {error}; a quote within a quoted text is doubled, and every quoted text is "
                "closed"
            ) from error


def check_header(names: Sequence[str], path: Path) -> None:
    """Checks the names of the columns.

    Raises:
        ImageSetError: there are none, or one stands twice.
    """
    if not any(names):
        raise ImageSetError(f"{path} is empty; its first line names the columns")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise ImageSetError(f"{path} has two columns {twice!r} ({show_names(names)}); rename or remove one")


def show_names(names: Iterable[str], length: int = 200) -> str:
    """Names of columns on one line; of a damaged file they may be anything."""
    line = ", ".join(" ".join(name.split()) for name in names) or "none"
    return line if len(line) <= length else f"{line[:length]}…"


def _read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _open_text(path) as text:
        for number, line in enumerate(text, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_refuse_doubles)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", error)
                raise ImageSetError(
                    f"{path}, line {number} is no JSON: {reason}; each line is one object, {{...}}, without a comma "
                    "behind it or brackets around all: mend or remove the line"
                ) from error
            if not isinstance(row, dict):
                raise ImageSetError(f"{path}, line {number} is no JSON object; each line must be one, {{...}}")
            yield number, row


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError(f"a name stands twice among {show_names(name for name, _ in pairs)}")
    return row


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ImageSetError(f"{path} cannot be read as parquet: {' '.join(str(error).split())[:300]}") from error

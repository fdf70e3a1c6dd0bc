"""Image sets as lists: CSV, Parquet or JSON lines with a `path` and, optionally, a `label` column."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.images.folder import FileStore
from gpt4image.images.image_set import UNLABELLED, ImageSet

LIST_SUFFIXES = (".csv", ".parquet", ".jsonl")


def open_list(source: str, path: Path, condition: str = "") -> ImageSet:
    """Opens a list. Paths are relative to the list's folder; an empty label means unlabelled.

    Args:
        source: what the user wrote, for messages.
        path: the list.
        condition: `column=value`, or empty; only rows whose column has that value are taken.

    Raises:
        ImageSetError: the list cannot be read, lacks a column, or names an image twice.
    """
    columns = read_columns(path)
    if "path" not in columns:
        raise ImageSetError(f"{path} has the columns {', '.join(columns)}; an image list needs the column 'path'")
    rows = _matching_rows(columns, condition, path)
    columns = {name: [values[row] for row in rows] for name, values in columns.items()}
    keys = [str(value) for value in columns.pop("path")]
    if len(set(keys)) != len(keys):
        twice = next(key for key, count in Counter(keys).items() if count > 1)
        raise ImageSetError(f"{path} names {twice} more than once; every image may stand in a list once")
    names = columns.pop("label", [None] * len(keys))
    classes = tuple(sorted({str(name) for name in names if name not in (None, "")}))
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number.get(str(name), UNLABELLED) for name in names], dtype=np.int64)
    return ImageSet(source, keys, labels, classes, FileStore(path.parent, keys), np.arange(len(keys)), columns)


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Reads a CSV, Parquet or JSON lines file as columns; missing values are None.

    Raises:
        ImageSetError: the file is not what its name says.
    """
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    try:
        match path.suffix.lower():
            case ".csv":
                # Everything stays text: a class called 007 must not become the number 7.
                header = path.open(encoding="utf-8-sig").readline()
                names = next(iter(_split_header(header)), [])
                options = csv.ConvertOptions(column_types={name: pa.string() for name in names})
                table = csv.read_csv(path, convert_options=options)
            case ".parquet":
                table = parquet.read_table(path)
            case _:
                table = json.read_json(path, read_options=json.ReadOptions(block_size=16 << 20))
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise ImageSetError(f"{path} cannot be read as {path.suffix.lower()[1:]}: {error}") from error
    return {name: table[name].to_pylist() for name in table.column_names}


def _split_header(line: str) -> list[list[str]]:
    import csv

    return list(csv.reader([line]))


def _matching_rows(columns: dict[str, list[Any]], condition: str, path: Path) -> list[int]:
    if not condition:
        return list(range(len(columns["path"])))
    name, equals, value = condition.partition("=")
    if not equals or name not in columns:
        raise ImageSetError(
            f"?{condition} does not name a column of {path}; write ?COLUMN=VALUE with one of {', '.join(columns)}"
        )
    return [row for row, found in enumerate(columns[name]) if _as_word(found) == value.lower()]


def _as_word(value: Any) -> str:
    return "" if value is None else str(value).lower()

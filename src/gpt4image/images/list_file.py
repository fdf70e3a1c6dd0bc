"""Image sets as lists: CSV, Parquet or JSON lines with a `path` and, optionally, a `label` column."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.images.files.names import escape_name
from gpt4image.images.files.store import FileStore
from gpt4image.images.image_set import ImageSet
from gpt4image.images.remarks import Remarks
from gpt4image.images.tables.columns import read_columns, show_names
from gpt4image.images.tables.labels import number_labels

LIST_SUFFIXES = (".csv", ".parquet", ".jsonl")
NO_PATH = ("", "nan")


def open_list(source: str, path: Path, condition: str = "") -> ImageSet:
    """Opens a list. Paths are relative to the list's folder; an empty label means unlabelled.

    Args:
        source: what the user wrote, for messages.
        path: the list.
        condition: `column=value`, or empty; only rows whose column has that value are taken.

    Raises:
        ImageSetError: the list cannot be read, lacks a column, or names an image twice.
    """
    columns, remarks = read_columns(path), Remarks()
    if "path" not in columns:
        raise ImageSetError(
            f"{path} has the columns {show_names(columns)}; an image list needs the column 'path': rename the "
            "one that names the files"
        )
    rows = _rows_with_path(columns, _matching_rows(columns, condition, path), remarks)
    columns = {name: [values[row] for row in rows] for name, values in columns.items()}
    names = [str(value) for value in columns.pop("path")]
    store = FileStore(path.parent, names)
    keys = [_write_key(name, store, position) for position, name in enumerate(names)]
    _refuse_twice(store, keys, path)
    if "label" not in columns:
        remarks.add(
            f"there is no column 'label': its images are unlabelled; its columns are {show_names(['path', *columns])}"
        )
    labels, classes = number_labels(columns.pop("label", [None] * len(keys)), str(path), remarks)
    return ImageSet(source, keys, labels, classes, store, np.arange(len(keys)), columns, remarks)


def _rows_with_path(columns: dict[str, list[Any]], rows: list[int], remarks: Remarks) -> list[int]:
    paths = columns["path"]
    found = [row for row in rows if paths[row] is not None and str(paths[row]).strip().lower() not in NO_PATH]
    if len(found) < len(rows):
        missing = min(set(rows) - set(found))
        remarks.leave_out("row (without a path)", f"row {missing + 1}", len(rows) - len(found))
    return found


def _write_key(name: str, store: FileStore, position: int) -> str:
    """The name as it stands in the list, with forward slashes if its backslashes separate folders."""
    if "\\" in name and store.path(position) == os.path.normpath(os.path.join(store.root, name.replace("\\", "/"))):
        name = name.replace("\\", "/")
    return escape_name(name)


def _refuse_twice(store: FileStore, keys: list[str], path: Path) -> None:
    seen: dict[str, str] = {}
    for position, key in enumerate(keys):
        place = store.path(position)
        if place in seen:
            written = key if seen[place] == key else f"{key} (as {seen[place]})"
            raise ImageSetError(f"{path} names {written} more than once; every image may stand in a list once")
        seen[place] = key


def _matching_rows(columns: dict[str, list[Any]], condition: str, path: Path) -> list[int]:
    if not condition:
        return list(range(len(columns["path"])))
    name, equals, value = condition.partition("=")
    if not equals or name not in columns:
        raise ImageSetError(
            f"?{condition} does not name a column of {path}; write ?COLUMN=VALUE with one of {show_names(columns)}"
        )
    words = ("" if found is None else str(found).lower() for found in columns[name])
    return [row for row, word in enumerate(words) if word == value.lower()]

"""Atomic writes: a reader sees the old file or the new one, never half of one."""

import csv
import errno
import glob
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, get_origin

from gpt4image.errors import DamagedFileError, Gpt4ImageError, SettingsError
from gpt4image.shown import defuse, mask_keys

KINDS: tuple[Any, ...] = (str, list, dict, Mapping)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder and renames it to `path` when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    remove_left_over(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if temporary.name not in str(error):
            raise
        # Where a folder is there in which no file can be made, as in /proc, the system says that there is no such file.
        is_refused = error.errno == errno.ENOENT and path.parent.is_dir()
        number = errno.EACCES if is_refused else error.errno or errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        with suppress(OSError):  # On a read-only disk even what is not there cannot be removed.
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yields a new folder beside `target` that takes its place when the block ends without error, and vanishes else."""
    remove_left_over(target)
    new = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        if target.exists():
            shutil.rmtree(target)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check_folder_name(name: str) -> None:
    """Refuses what is no name of a folder inside another one.

    Raises:
        SettingsError: `--name` is empty, a path, or begins with a dot.
    """
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
        raise SettingsError(f"--name {name!r} cannot be a folder's name; use letters, digits, '.', '-', '_'")


def find_left_over(folder: Path, name: str = "*") -> list[Path]:
    """Temporary files of processes that were killed while they wrote `name`, or anything, in a folder."""
    found = [(path, re.fullmatch(r"\..*\.(\d+)\.tmp", path.name)) for path in folder.glob(f".{name}.*.tmp")]
    return [path for path, match in found if match and not _is_running(int(match[1]))]


def remove_left_over(path: Path) -> None:
    """Removes what killed processes left of a file or folder that they wrote."""
    for left_over in find_left_over(path.parent, glob.escape(path.name)):
        if left_over.is_dir():
            shutil.rmtree(left_over, ignore_errors=True)
        else:
            left_over.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically, without API keys."""
    with atomic_path(path) as temporary:
        temporary.write_text(mask_keys(text), encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Writes rows of cells for people atomically: text that a spreadsheet would take for a formula gets a quote."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([defuse(cell) for cell in row] for row in rows)
    write_text(path, buffer.getvalue())


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object that one of the stages has written.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    with reading(path):
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise TypeError(f"{type(value).__name__} in the place of an object")
        return value


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Around the reading of a file that one of the stages has written, and of what stands in it.

    Raises:
        DamagedFileError: it is not there any more or damaged, whatever the library raises that reads it.
        OSError: the system refuses it.
    """
    try:
        yield
    except Exception as error:
        is_refused = isinstance(error, OSError) and error.errno is not None and not isinstance(error, FileNotFoundError)
        if is_refused or isinstance(error, Gpt4ImageError):
            raise
        raise damaged(path, error) from error


def check_kinds(kind: type, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values, if each that is a text, list or mapping in the data class `kind` is one.

    Raises:
        TypeError: one is something else.
    """
    for entry in fields(kind):
        wanted: Any = get_origin(entry.type) or entry.type
        if entry.name in values and wanted in KINDS and not isinstance(values[entry.name], wanted):
            raise TypeError(f"{entry.name} is {str(values[entry.name])[:80]}")
    return values


def damaged(path: Path, error: object) -> DamagedFileError:
    """What to say of a file that can be made anew."""
    if isinstance(error, FileNotFoundError):
        return DamagedFileError(f"{path} is missing; the command that wrote it makes it anew")
    reason = f"there is no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
    return DamagedFileError(f"{path} is damaged ({reason}); delete it, and the command that wrote it makes it anew")

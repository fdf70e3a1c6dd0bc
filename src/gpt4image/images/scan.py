"""Reads every image once: digest and whether it can be decoded. Remembered by path, size and time."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images.image_set import ImageSet
from gpt4image.progress import track

DRAFT_SIZE = (64, 64)
"""A complete JPEG must be decoded to know that it is complete; a reduced scale is enough for that."""
BATCH_SIZE = 1024


@dataclass(frozen=True)
class Scan:
    """What reading every image told.

    Attributes:
        digests: SHA-256 of each image's bytes as 64 hex digits; empty where the bytes could not be read.
        readable: bool [N], whether the image can be decoded.
        errors: key of each unreadable image and why.
    """

    digests: list[str]
    readable: np.ndarray
    errors: dict[str, str]


@dataclass(frozen=True)
class _Entry:
    digest: str
    error: str


def scan_images(images: ImageSet, cache: Path | None = None) -> Scan:
    """Computes digests and tries to decode every image, in threads.

    Args:
        images: the image set.
        cache: SQLite file of earlier scans; the user's cache folder if None.

    Raises:
        ImageSetError: not one image can be decoded.
    """
    if images.location(0) is None:
        digests = [hashlib.sha256(images.read_bytes(index)).hexdigest() for index in range(len(images))]
        return Scan(digests, np.ones(len(images), dtype=bool), {})
    with closing(_open_cache(cache or _default_cache())) as connection:
        entries = list(_scan_files(images, connection))
    errors = {key: entry.error for key, entry in zip(images.keys, entries, strict=True) if entry.error}
    if len(errors) == len(images):
        raise ImageSetError(
            f"{images.source}: none of {len(images)} images can be decoded ({next(iter(errors.values()))})"
        )
    readable = np.array([not entry.error for entry in entries])
    return Scan([entry.digest for entry in entries], readable, errors)


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gpt4image" / "scan.sqlite"


def _open_cache(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS scan"
        " (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, digest TEXT, error TEXT) WITHOUT ROWID"
    )
    return connection


def _scan_files(images: ImageSet, connection: sqlite3.Connection) -> Iterator[_Entry]:
    indices = iter(range(len(images)))
    with (
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        track("reading images", len(images)) as tracker,
    ):
        while batch := list(islice(indices, BATCH_SIZE)):
            stats = [_stat(images, index) for index in batch]
            known = [_look_up(connection, *stat) for stat in stats]
            missing = [index for index, entry in zip(batch, known, strict=True) if entry is None]
            fresh = dict(zip(missing, pool.map(lambda index: _scan_one(images, index), missing), strict=True))
            rows = [(*stats[index - batch[0]], entry.digest, entry.error) for index, entry in fresh.items()]
            connection.execute("BEGIN")
            connection.executemany("INSERT OR REPLACE INTO scan VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
            tracker.advance(len(batch))
            yield from (entry or fresh[index] for index, entry in zip(batch, known, strict=True))


def _stat(images: ImageSet, index: int) -> tuple[str, int, int]:
    path = os.path.abspath(str(images.location(index)))
    try:
        status = os.stat(path)
    except OSError:
        return path, -1, -1
    return path, status.st_size, status.st_mtime_ns


def _look_up(connection: sqlite3.Connection, path: str, size: int, mtime_ns: int) -> _Entry | None:
    if size < 0:
        return None
    query = "SELECT digest, error FROM scan WHERE path = ? AND size = ? AND mtime_ns = ?"
    row = connection.execute(query, (path, size, mtime_ns)).fetchone()
    return None if row is None else _Entry(*row)


def _scan_one(images: ImageSet, index: int) -> _Entry:
    try:
        data = images.read_bytes(index)
    except UnreadableImageError as error:
        return _Entry("", str(error))
    digest = hashlib.sha256(data).hexdigest()
    try:
        images.decode(index, data, DRAFT_SIZE)
    except UnreadableImageError as error:
        return _Entry(digest, str(error))
    return _Entry(digest, "")

"""Reads every image once: digest and whether it can be decoded. Remembered by name, size, times and inode."""

import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images.cache import cache_folder
from gpt4image.images.files.names import escape_name
from gpt4image.images.image_set import UNLABELLED, ImageSet, Stamp, gone
from gpt4image.progress import say, track

DRAFT_SIZE = (64, 64)
"""A complete JPEG must be decoded to know that it is complete; a reduced scale is enough for that."""
BATCH_SIZE = 1024
TABLE = (
    "CREATE TABLE IF NOT EXISTS scanned (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER,"
    " ctime_ns INTEGER, digest TEXT, error TEXT, checksum INTEGER) WITHOUT ROWID"
)

_Entry = tuple[str, str]
"""Digest and error, both may be empty."""


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


def scan_images(images: ImageSet, cache: Path | None = None) -> Scan:
    """Computes digests and tries to decode every image, in threads. Says which pictures lie in several classes.

    Args:
        images: the image set.
        cache: SQLite file of earlier scans; the user's cache folder if None. A damaged one is made anew.

    Raises:
        ImageSetError: not one image can be decoded.
    """
    if images.stamp(0) is None:
        digests = [hashlib.sha256(images.read_bytes(index)).hexdigest() for index in range(len(images))]
        return Scan(digests, np.ones(len(images), dtype=bool), {})
    digests, readable, errors = [], np.ones(len(images), dtype=bool), {}
    with closing(_Cache(cache or cache_folder() / "scan.sqlite")) as known:
        for index, (digest, error) in enumerate(_scan_stamped(images, known)):
            digests.append(digest)
            if error:
                readable[index], errors[images.keys[index]] = False, error
    if len(errors) == len(images):
        raise ImageSetError(
            f"{images.source}: none of {len(images)} images can be decoded ({next(iter(errors.values()))})"
        )
    _say_conflicts(images, find_conflicts(images, digests))
    return Scan(digests, readable, errors)


def find_conflicts(images: ImageSet, digests: Sequence[str]) -> list[list[int]]:
    """The copies of each picture that lies in several classes: their positions."""
    first: dict[str, int] = {}
    doubtful: dict[str, list[int]] = {}
    labels = images.labels.tolist()
    for index, (digest, label) in enumerate(zip(digests, labels, strict=True)):
        if label != UNLABELLED and digest and labels[first.setdefault(digest, index)] != label:
            doubtful[digest] = []
    if doubtful:
        for index, digest in enumerate(digests):
            if digest in doubtful and labels[index] != UNLABELLED:
                doubtful[digest].append(index)
    return list(doubtful.values())


def _say_conflicts(images: ImageSet, conflicts: list[list[int]]) -> None:
    if not conflicts:
        return
    first = conflicts[0][0]
    other = next(index for index in conflicts[0] if images.labels[index] != images.labels[first])
    shown = " and ".join(f"{images.keys[index]} ({images.class_name(index)})" for index in (first, other))
    noun = "picture lies" if len(conflicts) == 1 else "pictures lie"
    say(
        f"{images.source}: {len(conflicts):,} {noun} in several classes ({sum(map(len, conflicts)):,} files of the "
        f"same bytes), such as {shown}; keep one of each"
    )


class _Cache:
    """What is known of images; a damaged file is made anew, one that cannot be written is done without."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = self._open()

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self.connection.close()

    def _open(self) -> sqlite3.Connection:
        for _ in range(2):
            try:
                return _connect(str(self.path))
            except (sqlite3.OperationalError, OSError):
                break
            except sqlite3.DatabaseError:
                self._remove()
        return _connect(":memory:")

    def _remove(self) -> None:
        for end in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)

    def look_up(self, stamps: Sequence[Stamp]) -> dict[Stamp, _Entry]:
        """What is known of images that have not changed since."""
        marks = ", ".join("?" * len(stamps))
        query = f"SELECT * FROM scanned WHERE size >= 0 AND path IN ({marks})"
        try:
            rows = self.connection.execute(query, [stamp[0] for stamp in stamps]).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            self._make_anew()
            return {}
        return {row[:5]: row[5:7] for row in rows if row[7] == _checksum(row[:7])}

    def write(self, entries: Sequence[tuple[Stamp, _Entry]]) -> None:
        """Remembers what was found."""
        rows = [(*stamp, *entry, _checksum((*stamp, *entry))) for stamp, entry in entries]
        with suppress(sqlite3.Error):
            self.connection.execute("BEGIN")
            self.connection.executemany("INSERT OR REPLACE INTO scanned VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.connection.execute("COMMIT")
            return
        self._make_anew()

    def _make_anew(self) -> None:
        self.close()
        with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(self.path, timeout=1)) as connection:
            # Whether the file is damaged, or only locked or full; only a damaged one is removed.
            if connection.execute("PRAGMA quick_check").fetchone() == ("ok",):
                self.connection = _connect(":memory:")
                return
        self._remove()
        self.connection = self._open()


def _connect(path: str) -> sqlite3.Connection:
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _checksum(row: tuple[object, ...]) -> int:
    """SQLite does not notice a flipped bit in a digest."""
    return zlib.crc32(repr(row).encode())


def _scan_stamped(images: ImageSet, cache: _Cache) -> Iterator[_Entry]:
    indices = iter(range(len(images)))
    with (
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        track("reading images", len(images)) as tracker,
    ):
        while batch := list(islice(indices, BATCH_SIZE)):
            stamps = {index: images.stamp(index) or gone("") for index in batch}
            known = cache.look_up(list(stamps.values()))
            missing = [index for index in batch if stamps[index] not in known]
            fresh = dict(zip(missing, pool.map(lambda index: _scan_one(images, index), missing), strict=True))
            if fresh:
                cache.write([(stamps[index], entry) for index, entry in fresh.items()])
            tracker.advance(len(batch))
            yield from (fresh[index] if index in fresh else known[stamps[index]] for index in batch)


def _scan_one(images: ImageSet, index: int) -> _Entry:
    digest = ""
    try:
        data = images.read_bytes(index)
        digest = hashlib.sha256(data).hexdigest()
        images.decode(index, data, DRAFT_SIZE)
    except UnreadableImageError as error:
        return digest, escape_name(str(error))
    return digest, ""

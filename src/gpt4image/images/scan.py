"""Reads every image once: digest and whether it can be decoded. Remembered by name, size and time."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images.cache import cache_folder
from gpt4image.images.image_set import ImageSet, Stamp
from gpt4image.progress import track

DRAFT_SIZE = (64, 64)
"""A complete JPEG must be decoded to know that it is complete; a reduced scale is enough for that."""
BATCH_SIZE = 1024
GONE: Stamp = ("", -1, 0)

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
    """Computes digests and tries to decode every image, in threads.

    Args:
        images: the image set.
        cache: SQLite file of earlier scans; the user's cache folder if None.

    Raises:
        ImageSetError: not one image can be decoded.
    """
    if images.stamp(0) is None:
        digests = [hashlib.sha256(images.read_bytes(index)).hexdigest() for index in range(len(images))]
        return Scan(digests, np.ones(len(images), dtype=bool), {})
    digests, readable, errors = [], np.ones(len(images), dtype=bool), {}
    with closing(_open_cache(cache or cache_folder() / "scan.sqlite")) as connection:
        for index, (digest, error) in enumerate(_scan_stamped(images, connection)):
            digests.append(digest)
            if error:
                readable[index], errors[images.keys[index]] = False, error
    if len(errors) == len(images):
        raise ImageSetError(
            f"{images.source}: none of {len(images)} images can be decoded ({next(iter(errors.values()))})"
        )
    return Scan(digests, readable, errors)


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


def _scan_stamped(images: ImageSet, connection: sqlite3.Connection) -> Iterator[_Entry]:
    indices = iter(range(len(images)))
    with (
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        track("reading images", len(images)) as tracker,
    ):
        while batch := list(islice(indices, BATCH_SIZE)):
            stamps = {index: images.stamp(index) or GONE for index in batch}
            known = _look_up(connection, list(stamps.values()))
            missing = [index for index in batch if stamps[index] not in known]
            fresh = dict(zip(missing, pool.map(lambda index: _scan_one(images, index), missing), strict=True))
            if fresh:
                connection.execute("BEGIN")
                rows = ((*stamps[index], *entry) for index, entry in fresh.items())
                connection.executemany("INSERT OR REPLACE INTO scan VALUES (?, ?, ?, ?, ?)", rows)
                connection.execute("COMMIT")
            tracker.advance(len(batch))
            yield from (fresh[index] if index in fresh else known[stamps[index]] for index in batch)


def _look_up(connection: sqlite3.Connection, stamps: Sequence[Stamp]) -> dict[Stamp, _Entry]:
    """What is known of images that have not changed since."""
    marks = ", ".join("?" * len(stamps))
    query = f"SELECT path, size, mtime_ns, digest, error FROM scan WHERE size >= 0 AND path IN ({marks})"
    rows = connection.execute(query, [name for name, _, _ in stamps])
    return {(name, size, mtime_ns): (digest, error) for name, size, mtime_ns, digest, error in rows}


def _scan_one(images: ImageSet, index: int) -> _Entry:
    try:
        data = images.read_bytes(index)
    except UnreadableImageError as error:
        return "", str(error)
    digest = hashlib.sha256(data).hexdigest()
    try:
        images.decode(index, data, DRAFT_SIZE)
    except UnreadableImageError as error:
        return digest, str(error)
    return digest, ""

"""Joins descriptions to images by digest, a million in less than a second."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH = 64
"""Characters of a digest: SHA-256 as hex digits."""


@dataclass(frozen=True)
class TextIndex:
    """Which rows of a table belong to which image: image i has `rows[start[i] : start[i] + count[i]]`.

    Attributes:
        rows: int64 [M], row numbers of the table, grouped by image, ascending for each.
        start: int64 [N].
        count: int64 [N], zero where an image has no description.
    """

    rows: np.ndarray
    start: np.ndarray
    count: np.ndarray

    def of(self, image: int) -> np.ndarray:
        """Rows of one image."""
        return self.rows[self.start[image] : self.start[image] + self.count[image]]


def join_digests(row_digests: Any, digests: Sequence[str], usable: np.ndarray | None = None) -> TextIndex:
    """Finds the rows of each image by digest.

    Sorted numbers made of the first 64 bits of the digests are compared, then the next 64 bits.

    Args:
        row_digests: pyarrow strings, one a row.
        digests: of the images, in their order; two images may share one.
        usable: bool, which rows may be taken; all if None.
    """
    of_rows, of_images = _to_array(row_digests), np.asarray(digests, dtype=f"S{WIDTH}")
    rows = np.arange(len(of_rows)) if usable is None else np.flatnonzero(usable)
    keys = _to_numbers(of_rows)[rows]
    order = np.argsort(keys, kind="stable")
    rows, keys = rows[order], keys[order]
    wanted = _to_numbers(of_images)
    by_key = np.argsort(wanted)
    wanted = wanted[by_key]
    used = wanted[np.searchsorted(wanted, keys).clip(max=len(wanted) - 1)] == keys
    rows, keys = rows[used], keys[used]
    first, end = np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, side="right")
    start, count = np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.int64)
    start[by_key], count[by_key] = first, end - first
    has = np.flatnonzero(count)
    more_of_rows, more_of_images = _to_numbers(of_rows, 2), _to_numbers(of_images, 2)
    assert (more_of_rows[rows[start[has]]] == more_of_images[has]).all(), "two digests share their first 64 bits"
    return TextIndex(rows, start, count)


def _to_array(column: Any) -> np.ndarray:
    """Bytes [N] of a column of strings; without a copy where all are full digests."""
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    column = column.chunk(0) if hasattr(column, "chunk") else column
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    if len(column) and (np.diff(offsets) == WIDTH).all():
        return np.frombuffer(column.buffers()[2], dtype=f"S{WIDTH}", count=len(column), offset=int(offsets[0]))
    return np.asarray(column.to_pylist(), dtype=f"S{WIDTH}")


def _to_numbers(digests: np.ndarray, first: int = 0) -> np.ndarray:
    """uint64 [N] made of 16 characters, which hold 64 bits: one half times an odd constant plus the other."""
    halves = np.ascontiguousarray(digests).view(np.uint64).reshape(len(digests), WIDTH // 8)
    return halves[:, first] * np.uint64(0x9E3779B97F4A7C15) + halves[:, first + 1]

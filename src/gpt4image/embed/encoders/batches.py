"""Batches of texts of like length: little is padded, and no batch is larger than it is quick."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

TOKENS_IN_BATCH = {"cpu": 2048, "other": 16_384}
"""On a CPU a batch shall stay in its caches; a GPU wants much work at once."""


def batches_of(items: Any, size: int) -> Iterator[Any]:
    """Slices of at most `size` items, in order."""
    yield from (items[start : start + size] for start in range(0, len(items), size))


def batches_by_length(lengths: Sequence[int] | np.ndarray, most_tokens: int) -> Iterator[np.ndarray]:
    """Positions of texts, shortest first, in batches of at most `most_tokens` tokens (or one text).

    A batch holds texts of one length, which need no padding; only while it is less than a third full, longer ones join.
    """
    lengths_ = np.asarray(lengths)
    order = np.argsort(lengths_, kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        if end < len(order):
            length, held = lengths_[order[end]], (end - start) * lengths_[order[end - 1]]
            is_alike = length == lengths_[order[end - 1]] or 3 * held < most_tokens
            if is_alike and (end - start + 1) * length <= most_tokens:
                continue
        yield order[start:end]
        start = end

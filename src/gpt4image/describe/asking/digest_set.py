"""A set of digests that fits a million of them into ten megabytes."""

from collections.abc import Iterator, Sequence

import numpy as np


class DigestSet:
    """Remembers 64 bits of each digest.

    Among N digests a wrong answer has a chance of N / 2^64 a question: below one in ten million for a whole
    data set of ImageNet's size.
    """

    def __init__(self, digests: Iterator[str]) -> None:
        self._hashes = np.unique(np.fromiter(map(hash, digests), dtype=np.int64))

    def __len__(self) -> int:
        return len(self._hashes)

    def contains(self, digests: Sequence[str]) -> np.ndarray:
        """Whether each of some digests is in the set; bool [N]."""
        wanted = np.fromiter(map(hash, digests), dtype=np.int64, count=len(digests))
        if not len(self._hashes):
            return np.zeros(len(digests), dtype=bool)
        places = np.searchsorted(self._hashes, wanted).clip(max=len(self._hashes) - 1)
        return self._hashes[places] == wanted

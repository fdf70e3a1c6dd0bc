"""Near-duplicates: different images that got nearly the same words."""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from gpt4image.describe.lint.finding import Finding, Texts, share, shorten
from gpt4image.describe.lint.openings import strip_boilerplate
from gpt4image.describe.store.rows import Description

NUM_HASHES, BAND = 64, 4
PRIME = (1 << 31) - 1
ALIKE = 0.8
"""Jaccard similarity of the pairs of neighbouring words."""
NOTABLE = 0.01
LARGEST_BUCKET = 50


def check_duplicates(texts: Texts) -> Finding:
    """Groups texts by MinHash (Broder 1997), 16 bands of 4 hashes, and compares the candidates exactly."""
    groups = find_groups([_shingles(strip_boilerplate(row.text)) for row in texts.rows])
    concerned = [[texts.rows[i] for i in group] for group in groups]
    concerned = [rows for rows in concerned if len({row.digest for row in rows}) > 1]
    rows = [row for group in concerned for row in group]
    is_bad = len(rows) > NOTABLE * len(texts.rows)
    return Finding(
        check="duplicates",
        count=len(rows),
        total=len(texts.rows),
        words=f"{share(len(rows), len(texts.rows))} are nearly the same as another image's, in {len(concerned)} groups",
        is_bad=is_bad,
        remedy="a prompt that asks for what sets images apart: --prompt attributes" if is_bad else "",
        examples=[_example(texts, group) for group in sorted(concerned, key=len, reverse=True)[:3]],
        rows=rows,
    )


def find_groups(sets: Sequence[frozenset[int]]) -> list[list[int]]:
    """Positions of sets that are alike, directly or through others; groups of two or more."""
    parents = list(range(len(sets)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    for i, j in _candidates(sets):
        if root(i) != root(j) and len(sets[i] & sets[j]) >= ALIKE * len(sets[i] | sets[j]):
            parents[root(j)] = root(i)
    groups: dict[int, list[int]] = defaultdict(list)
    for i in range(len(sets)):
        groups[root(i)].append(i)
    return [group for group in groups.values() if len(group) > 1]


def _candidates(sets: Sequence[frozenset[int]]) -> Iterator[tuple[int, int]]:
    """Pairs that agree in one band of their MinHash signatures."""
    generator = np.random.default_rng(0)
    factors, offsets = generator.integers(1, PRIME, (2, NUM_HASHES, 1), dtype=np.int64)
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for i, values in enumerate(sets):
        hashed = (factors * np.fromiter(values, np.int64, len(values)) % PRIME + offsets) % PRIME
        signature = hashed.min(axis=1).astype(np.uint32)
        for band in range(0, NUM_HASHES, BAND):
            bucket = buckets[band, signature[band : band + BAND].tobytes()]
            yield from ((other, i) for other in bucket)
            if len(bucket) < LARGEST_BUCKET:
                bucket.append(i)


def _shingles(text: str) -> frozenset[int]:
    """Hashes of neighbouring words, below 2^31."""
    words = re.findall(r"\w+", text.lower())
    pairs = pairwise(words) if len(words) > 1 else [(word, "") for word in words or [""]]
    return frozenset(zlib.crc32(" ".join(pair).encode()) % PRIME for pair in pairs)


def _example(texts: Texts, rows: Sequence[Description]) -> str:
    return f"{len(rows)} x {shorten(rows[0].text, 70)!r}, such as {texts.key_of(rows[0])} and {texts.key_of(rows[1])}"

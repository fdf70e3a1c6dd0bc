"""Near-duplicates: different images that got nearly the same words."""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gpt4image.describe.lint.finding import Finding, Texts, shorten
from gpt4image.describe.lint.openings import strip_boilerplate

NUM_HASHES, BAND = 64, 4
PRIME = (1 << 31) - 1
ALIKE = 0.8
"""Jaccard similarity of the pairs of neighbouring words."""
NOTABLE = 0.01
LARGEST_BUCKET = 50


def check_duplicates(texts: Texts) -> Finding:
    """Groups texts by MinHash (Broder 1997), 16 bands of 4 hashes, and compares the candidates exactly."""
    groups = find_groups([_shingles(strip_boilerplate(row.text)) for row in texts.rows])
    alike = ([texts.rows[i] for i in group] for group in groups)
    concerned = [rows for rows in alike if len({row.digest for row in rows}) > 1]
    rows = list(chain.from_iterable(concerned))
    words = f"{texts.share(rows)} are nearly the same as another image's, in {len(concerned)} groups"
    remedy = "a prompt that asks for what sets images apart: --prompt attributes"
    largest = sorted(concerned, key=len, reverse=True)[:3]
    examples = [
        f"{len(group)} x {shorten(group[0].text, 70)!r}, such as {texts.key_of(group[0])} and {texts.key_of(group[1])}"
        for group in largest
    ]
    return texts.find("duplicates", rows, words, len(rows) > NOTABLE * len(texts.rows), remedy, examples)


def find_groups(sets: Sequence[frozenset[int]]) -> list[list[int]]:
    """Positions of sets that are alike, directly or through others; groups of two or more."""
    pairs = [(i, j) for i, j in _candidates(sets) if len(sets[i] & sets[j]) >= ALIKE * len(sets[i] | sets[j])]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(sets), len(sets)))
    groups: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(connected_components(graph, directed=False)[1].tolist()):
        groups[group].append(i)
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

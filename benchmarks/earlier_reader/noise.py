"""The noise channel P(l | y): how often images of class y are given label l.

Two kinds of wrong labels: with probability eps the label is any other class alike, and some classes are taken for
certain others more often than that (shirts that are labelled t-shirt). Of the first kind one number is estimated, of
the second those entries that stand out, so that 1,000 labels do not have to bear C (C - 1) numbers.

A confusion is counted among the images that the reader is surest of, where labels and texts disagree because one of
them is wrong and not because the text is vague (anchor points; Liu & Tao, arXiv 1411.7718; Patrini et al., arXiv
1609.03683).
"""

import numpy as np
from jaxtyping import Float, Int

SUREST = 0.5
"""Share of the images read as a class that are its anchors."""
SIGNIFICANCE = 0.01
"""Chance of finding any confusion where there is none (Bonferroni over all pairs of classes)."""
LEAST_COUNT = 3


def make_channel(noise: float, confusions: Float[np.ndarray, "C C"]) -> Float[np.ndarray, "C C"]:
    """P(l | y) as [y, l]; rows add up to 1.

    Args:
        noise: eps, share of labels replaced by any other class alike.
        confusions: [y, l], share of class y that is labelled l beyond that; rows add up to less than 1.
    """
    num_classes = len(confusions)
    by_chance = noise / (num_classes - 1)
    alike = np.full((num_classes, num_classes), by_chance) + np.diag(np.full(num_classes, 1 - noise - by_chance))
    return (1 - confusions.sum(1, keepdims=True)) * alike + confusions


def find_confusions(probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]) -> Float[np.ndarray, "C C"]:
    """Shares [y, l] of the confusions that are more frequent than the disagreement between all other classes.

    Args:
        probabilities: of a reader that did not see the image's label.
        labels: given labels, all of them known.
    """
    counts = _count_anchor_labels(probabilities, labels)
    num_anchors = np.maximum(counts.sum(1, keepdims=True), 1)
    stands_out = np.zeros(counts.shape, dtype=bool)
    # The most significant first: what is left is what the next ones are compared with.
    while (entry := _find_most_significant(counts, num_anchors, stands_out)) is not None:
        stands_out[entry] = True
    return np.where(stands_out, counts / num_anchors, 0.0)


def _count_anchor_labels(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How often the anchors of class y have label l: [C, C]."""
    num_classes = probabilities.shape[1]
    counts = np.zeros((num_classes, num_classes))
    read_as = probabilities.argmax(1)
    for y in range(num_classes):
        members = np.flatnonzero(read_as == y)
        surest = members[np.argsort(-probabilities[members, y], kind="stable")[: int(np.ceil(SUREST * len(members)))]]
        counts[y] = np.bincount(labels[surest], minlength=num_classes)
    return counts


def _find_most_significant(counts: np.ndarray, num_anchors: np.ndarray, known: np.ndarray) -> tuple[int, int] | None:
    from scipy.stats import binom

    num_classes = len(counts)
    others = ~np.eye(num_classes, dtype=bool) & ~known
    rate = (counts * others).sum() / max(1, (num_anchors * others).sum())
    chance = np.where(others & (counts >= LEAST_COUNT), binom.sf(counts - 1, num_anchors, rate), 1.0)
    row, column = np.unravel_index(chance.argmin(), chance.shape)
    significant = chance[row, column] < SIGNIFICANCE / (num_classes * (num_classes - 1))
    return (int(row), int(column)) if significant else None

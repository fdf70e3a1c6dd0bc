"""Chooses at random, by the seed alone: labels to drop or to make wrong on purpose, descriptions, validation images."""

import numpy as np

from gpt4image.images import UNLABELLED


def keep_some_labels(labels: np.ndarray, keep: float, seed: int) -> np.ndarray:
    """Removes labels at random, class by class; the others become `UNLABELLED`.

    Args:
        labels: int64 [N].
        keep: share of each class's labels kept, or their number if above 1.
        seed: same seed, same choice.
    """
    rng = np.random.default_rng([seed, 1])
    kept = np.full_like(labels, UNLABELLED)
    for label in np.unique(labels[labels != UNLABELLED]):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = round(keep * len(members)) if keep <= 1 else round(keep)
        kept[members[:count]] = label
    return kept


def make_some_labels_wrong(labels: np.ndarray, share: float, num_classes: int, seed: int) -> np.ndarray:
    """Replaces a share of the labels by another class, each other class equally likely (symmetric noise)."""
    rng = np.random.default_rng([seed, 2])
    wrong = labels.copy()
    labelled = rng.permutation(np.flatnonzero(labels != UNLABELLED))
    chosen = labelled[: round(share * len(labelled))]
    wrong[chosen] = (labels[chosen] + rng.integers(1, num_classes, len(chosen))) % num_classes
    return wrong


def confuse_some_labels(
    labels: np.ndarray, share: float, num_classes: int, seed: int, others: np.ndarray | None = None
) -> np.ndarray:
    """Replaces a share of each class's labels by one other class: classes taken for each other (pair noise).

    Args:
        labels: int64 [N].
        share: of each class's labels.
        num_classes: C.
        seed: same seed, same choice.
        others: int64 [C], the class that each is taken for; the next one if None.
    """
    rng = np.random.default_rng([seed, 15])
    others = (np.arange(num_classes) + 1) % num_classes if others is None else others
    confused = labels.copy()
    for label in np.unique(labels[labels != UNLABELLED]):
        members = rng.permutation(np.flatnonzero(labels == label))
        confused[members[: round(share * len(members))]] = others[label]
    return confused


def choose_described(count: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which images keep their descriptions: bool [N], a share of those that have any (`count` above 0)."""
    rng = np.random.default_rng([seed, 3])
    described = rng.permutation(np.flatnonzero(count > 0))
    chosen = np.zeros(len(count), dtype=bool)
    chosen[described[: round(share * len(described))]] = True
    return chosen


def choose_validation(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which images are set aside: bool [N], that share of each class, at least one of a class with two images."""
    rng = np.random.default_rng([seed, 13])
    aside = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels[labels != UNLABELLED]):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(share * len(members))), len(members) - 1)
        aside[members[:count]] = True
    return aside

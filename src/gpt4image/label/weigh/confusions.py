"""Classes that are given the label of certain others: a matrix P(l | y), counted on other images.

Two forms, both around rates found before (`channel`): a full matrix, each row a Dirichlet posterior around them; and a
sparse one, where only those cells stand apart that are worth it (BIC), which is sharper where it fits. Each image's
label is judged by a matrix that was counted on other folds, so its likelihood needs no penalty.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from gpt4image.label.weigh.channel import Channel, compute_log_likelihood
from gpt4image.label.weigh.regression import NUM_FOLDS

STRENGTHS = (3.0, 10.0, 30.0, 100.0, 1000.0)
NUM_ROUNDS = 10
LEAST_COUNT = 3


def fit_confusions(
    probabilities: Float[np.ndarray, "n C"], labels: Int[np.ndarray, " n"], folds: Int[np.ndarray, " n"], base: Channel
) -> list[tuple[float, Channel]]:
    """The best full matrix and the sparse one by expectation-maximisation, each with its held-out log-likelihood."""
    start = base.compute_matrix()
    full = [
        _climb(probabilities, labels, folds, base, lambda counts, s=s: _shrink(counts, start, s)) for s in STRENGTHS
    ]
    sparse = _climb(probabilities, labels, folds, base, lambda counts: _stand_apart(counts, start, len(labels)))
    return [max(full, key=lambda found: found[0]), sparse]


def _climb(probabilities, labels, folds, base, estimate) -> tuple[float, Channel]:
    whole = base.compute_matrix()
    channel = replace(base, view="", matrices=(whole,) * NUM_FOLDS, whole_matrix=whole)
    for _ in range(NUM_ROUNDS):
        joint = probabilities * channel.compute_likelihood(labels, {}, folds)
        joint /= joint.sum(1, keepdims=True) + 1e-12
        parts = [_count(joint[folds == fold], labels[folds == fold]) for fold in range(NUM_FOLDS)]
        total = sum(parts)
        matrices = tuple(estimate(total - part) for part in parts)
        channel = replace(channel, matrices=matrices, whole_matrix=estimate(total))
    return compute_log_likelihood(channel, probabilities, labels, {}, folds), channel


def _count(joint: np.ndarray, labels: np.ndarray) -> np.ndarray:
    counts = np.zeros((joint.shape[1],) * 2)
    np.add.at(counts.T, labels, joint)
    return counts


def _shrink(counts: np.ndarray, start: np.ndarray, strength: float) -> np.ndarray:
    return (counts + strength * start) / (counts.sum(1, keepdims=True) + strength)


def _stand_apart(counts: np.ndarray, start: np.ndarray, num_labels: int) -> np.ndarray:
    """Cells that are worth it at their own rate; what is left of a row is split as all rows together are."""
    num_classes = len(counts)
    off = ~np.eye(num_classes, dtype=bool)
    shape = np.where(off, start, 0)
    shape = shape / shape.sum(1, keepdims=True)
    members = counts.sum(1, keepdims=True) + 1e-9
    share = counts / members
    apart = np.zeros_like(off)
    for _ in range(4):
        free = off & ~apart
        rate = (counts * free).sum() / max(float((members[:, 0] - (counts * apart).sum(1)).sum()), 1e-9)
        usual = np.clip(rate * shape, 1e-6, 0.999)
        gain = counts * np.log((share + 1e-12) / usual) + (members - counts) * np.log((1 - share + 1e-12) / (1 - usual))
        worth = off & (share > 1.5 * usual) & (counts >= LEAST_COUNT)
        worth &= gain > 0.5 * np.log(num_labels) + np.log(num_classes)
        if (worth == apart).all():
            break
        apart = worth
    own = np.where(apart, share, 0)
    left = 1 - own.sum(1, keepdims=True)
    rate = min(max(float(rate), 1e-4), 0.95)
    open_shape = np.where(apart, 0, shape)
    return own + left * (rate * open_shape + np.diag(1 - rate * open_shape.sum(1)))

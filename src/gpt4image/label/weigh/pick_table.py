"""What a pick says: P(y | first choice, second choice, confidence), counted on other images.

Row by row, a Dirichlet prior around the pooled accuracy; the second choice takes its pooled share of what the first
choice leaves. Confidence is not taken literally: picks are split at its terciles, and the log-odds of being right are
moved by what each third is better or worse than all.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from gpt4image.label.weigh.evidence import Picks
from gpt4image.label.weigh.regression import NUM_FOLDS

USUAL_ACCURACY = 0.85
NUM_ASSUMED = 5.0
"""Images by which `USUAL_ACCURACY` counts."""
LEAST_THIRD = 20.0
"""Images by which the accuracy of all picks counts in each third."""
STRENGTH = 3.0
"""Images by which the pooled accuracy counts in a row."""


@dataclass(frozen=True)
class PickTable:
    """Attributes:
    rows: [C, C], P(y | first choice) as [pick, y].
    second: P(second choice is right | first is wrong).
    named: [C], how often each class is named.
    levels: confidences at which the thirds part, fewer where many are equal.
    shifts: log-odds to add in each third, then where there is no confidence.
    """

    rows: Float[np.ndarray, "C C"]
    second: float
    named: Float[np.ndarray, " C"]
    levels: Float[np.ndarray, " L"]
    shifts: Float[np.ndarray, " L2"]

    def read(self, picks: Picks, chosen: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n C"]:
        """Probabilities for some images, all of which have a first choice."""
        first, second = picks.first[chosen], picks.second[chosen]
        result = self.rows[first].astype(np.float32)
        every = np.arange(len(first))
        right = result[every, first]
        moved = right * np.exp(self.shifts[find_thirds(picks.confidence[chosen], self.levels)])
        moved = moved / (1 - right + moved)
        result *= ((1 - moved) / (1 - right))[:, None]
        result[every, first] = moved
        twice = np.flatnonzero((second >= 0) & (second != first))
        rest = 1 - result[twice, first[twice]]
        spread = result[twice] * (1 - self.second)
        spread[np.arange(len(twice)), first[twice]] = 1 - rest
        spread[np.arange(len(twice)), second[twice]] += self.second * rest
        result[twice] = spread / spread.sum(1, keepdims=True)
        return result


def fit_pick_tables(
    picks: Picks, targets: Float[np.ndarray, "N C"], folds: Int[np.ndarray, " N"]
) -> tuple[list[PickTable], PickTable]:
    """One table a fold, by the images of all other folds, and one by all."""
    levels = find_levels(picks.confidence)
    every = [np.flatnonzero((folds == fold) & (picks.first >= 0)) for fold in range(NUM_FOLDS)]
    parts = [_count(picks, targets, levels, chosen) for chosen in every]
    total = _Counts(*(np.sum(column, axis=0) for column in zip(*parts, strict=True)))
    rest = [_Counts(*(whole - part for whole, part in zip(total, one, strict=True))) for one in parts]
    return [_table(one, levels) for one in rest], _table(total, levels)


def find_levels(confidence: Float[np.ndarray, " N"]) -> Float[np.ndarray, " L"]:
    """Where terciles of the confidences part, in ascending order."""
    told = confidence[~np.isnan(confidence)]
    levels = np.unique(np.quantile(told, [1 / 3, 2 / 3])) if len(told) else np.empty(0)
    return levels[levels > told.min()] if len(levels) else levels


def find_thirds(confidence: Float[np.ndarray, " n"], levels: Float[np.ndarray, " L"]) -> Int[np.ndarray, " n"]:
    """Position among the thirds; one more than the last where there is no confidence."""
    return np.where(np.isnan(confidence), len(levels) + 1, np.searchsorted(levels, confidence, side="right"))


class _Counts(NamedTuple):
    """Expected images of each first choice and class; right second choices, wrong first ones; right, all by third."""

    named: np.ndarray
    seconds: np.ndarray
    misses: np.ndarray
    right: np.ndarray
    all: np.ndarray


def _count(picks: Picks, targets: np.ndarray, levels: np.ndarray, chosen: np.ndarray) -> _Counts:
    first, mass = picks.first[chosen], targets[chosen].sum(1)
    shape = targets.shape[1], len(chosen)
    named = csr_matrix((np.ones(len(chosen)), (first, np.arange(len(chosen)))), shape)
    twice = chosen[(picks.second[chosen] >= 0) & (picks.second[chosen] != first)]
    thirds, num_thirds = find_thirds(picks.confidence[chosen], levels), len(levels) + 2
    return _Counts(
        np.asarray(named @ targets[chosen]),
        np.array(targets[twice, picks.second[twice]].sum()),
        np.array(targets[twice].sum() - targets[twice, picks.first[twice]].sum()),
        np.bincount(thirds, targets[chosen, first], num_thirds),
        np.bincount(thirds, mass, num_thirds),
    )


def _table(counts: _Counts, levels: np.ndarray) -> PickTable:
    named = counts.named
    num_classes = len(named)
    accuracy = float((np.trace(named) + USUAL_ACCURACY * NUM_ASSUMED) / (named.sum() + NUM_ASSUMED))
    usual = np.full(named.shape, (1 - accuracy) / (num_classes - 1))
    np.fill_diagonal(usual, accuracy)
    rows = (named + STRENGTH * usual) / (named.sum(1, keepdims=True) + STRENGTH)
    often = (named.sum(1) + 1) / (named.sum() + num_classes)
    by_third = np.clip((counts.right + LEAST_THIRD * accuracy) / (counts.all + LEAST_THIRD), 1e-6, 1 - 1e-6)
    shifts = np.log(by_third / (1 - by_third)) - np.log(accuracy / (1 - accuracy))
    second = float((counts.seconds + 1) / (counts.misses + 2))
    return PickTable(rows.astype(np.float32), second, often, levels, shifts)

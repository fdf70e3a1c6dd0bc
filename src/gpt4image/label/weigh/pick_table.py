"""What a pick says: P(y | first choice, second choice), counted on other images.

Row by row, a Dirichlet prior around the pooled accuracy; the second choice takes its pooled share of what the first
choice leaves.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gpt4image.label.weigh.evidence import Picks
from gpt4image.label.weigh.regression import NUM_FOLDS

USUAL_ACCURACY = 0.85
NUM_ASSUMED = 5.0
"""Images by which `USUAL_ACCURACY` counts."""
STRENGTH = 3.0
"""Images by which the pooled accuracy counts in a row."""


@dataclass(frozen=True)
class PickTable:
    """Attributes:
    rows: [C, C], P(y | first choice) as [pick, y].
    second: P(second choice is right | first is wrong).
    named: [C], how often each class is named.
    """

    rows: Float[np.ndarray, "C C"]
    second: float
    named: Float[np.ndarray, " C"]

    def read(self, picks: Picks, chosen: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n C"]:
        """Probabilities for some images, all of which have a first choice."""
        first, second = picks.first[chosen], picks.second[chosen]
        result = self.rows[first].astype(np.float32)
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
    parts = [_count(picks, targets, np.flatnonzero((folds == fold) & (picks.first >= 0))) for fold in range(NUM_FOLDS)]
    total = tuple(sum(part[i] for part in parts) for i in range(3))
    return [_table(*(total[i] - part[i] for i in range(3))) for part in parts], _table(*total)


def _count(picks: Picks, targets: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, float, float]:
    counts = np.zeros((targets.shape[1],) * 2)
    np.add.at(counts, picks.first[chosen], targets[chosen])
    twice = chosen[(picks.second[chosen] >= 0) & (picks.second[chosen] != picks.first[chosen])]
    seconds = float(targets[twice, picks.second[twice]].sum())
    return counts, seconds, float((targets[twice].sum(1) - targets[twice, picks.first[twice]]).sum())


def _table(counts: np.ndarray, seconds: float, misses: float) -> PickTable:
    num_classes = len(counts)
    accuracy = (np.trace(counts) + USUAL_ACCURACY * NUM_ASSUMED) / (counts.sum() + NUM_ASSUMED)
    usual = np.full(counts.shape, (1 - accuracy) / (num_classes - 1))
    np.fill_diagonal(usual, accuracy)
    rows = (counts + STRENGTH * usual) / (counts.sum(1, keepdims=True) + STRENGTH)
    named = (counts.sum(1) + 1) / (counts.sum() + num_classes)
    return PickTable(rows.astype(np.float32), (seconds + 1) / (misses + 2), named)

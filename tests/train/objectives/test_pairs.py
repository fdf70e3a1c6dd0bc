"""Copies and related pairs against loops over pairs."""

import math

import pytest
import torch

from gpt4image.train.objectives import losses
from gpt4image.train.objectives.pairs import Pairs, Shown, own_pairs, relate_classes

IMAGES = torch.tensor([4, 8, 4, 1, 8, 5])
LABELS = [0, 1, 0, 0, 1, -1]


@pytest.fixture
def text() -> torch.Tensor:
    """Text embeddings; copies share one, and 3 and 5 are nearly that of 0."""
    t = torch.nn.functional.normalize(torch.randn(6, 7, generator=torch.Generator().manual_seed(0)), dim=1)
    t[2], t[4] = t[0], t[1]
    t[3] = t[0] + 0.01 * t[3]
    t[5] = t[0] - 0.01 * t[5]
    return t


def classes() -> torch.Tensor:
    result = torch.zeros(6, 3)
    for row, label in enumerate(LABELS):
        if label >= 0:
            result[row, label] = 1
    return result


def related_pairs(counts_as: str) -> Pairs:
    shown = Shown.whole(IMAGES, classes())
    return relate_classes(own_pairs(shown), shown, counts_as)  # type: ignore[arg-type]


@pytest.mark.parametrize("counts_as", ["negative", "excluded", "positive"])
def test_each_pair_counts_as_told(counts_as: str) -> None:
    pairs = related_pairs(counts_as)
    for i in range(6):
        for j in range(6):
            weight, excluded = float(i == j), i != j and bool(IMAGES[i] == IMAGES[j])
            if i != j and not excluded and LABELS[i] == LABELS[j] >= 0:
                weight, excluded = float(counts_as == "positive"), counts_as == "excluded"
            assert pairs.weights[i, j].item() == pytest.approx(weight, rel=1e-4), (i, j)
            assert pairs.counts[i, j].item() == 1 - excluded, (i, j)


@pytest.mark.parametrize("counts_as", ["positive", "excluded"])
def test_the_loss_spreads_its_target_over_right_pairs(counts_as: str, text: torch.Tensor) -> None:
    v = torch.randn(6, 7, generator=torch.Generator().manual_seed(1))
    pairs = related_pairs(counts_as)
    cosine = [[float(v[i] @ text[j] / v[i].norm() / text[j].norm()) / 0.3 for j in range(6)] for i in range(6)]

    def slow(lines: list[list[tuple[float, float, bool]]]) -> float:
        total = 0.0
        for line in lines:
            sum_exp = sum(math.exp(score) for score, _, excluded in line if not excluded)
            all_weights = sum(weight for _, weight, _ in line)
            total -= sum(w / all_weights * (score - math.log(sum_exp)) for score, w, _ in line)
        return total / len(lines)

    def entry(i: int, j: int) -> tuple[float, float, bool]:
        return cosine[i][j], float(pairs.weights[i, j]), pairs.counts[i, j] == 0

    rows = slow([[entry(i, j) for j in range(6)] for i in range(6)])
    columns = slow([[entry(i, j) for i in range(6)] for j in range(6)])
    assert losses.clip_loss(v, text, 0.3, pairs).item() == pytest.approx((rows + columns) / 2, rel=1e-5)
    assert losses.ctr_loss(v, text, 0.3, pairs).item() == pytest.approx(rows, rel=1e-5)

"""Every loss against loops that follow the formula one pair at a time."""

import math

import pytest
import torch
from torch import Tensor

from gpt4image.train.objectives import losses
from gpt4image.train.objectives.pairs import Pairs, Shown, own_pairs


def pairs_of(images: Tensor) -> Pairs:
    return own_pairs(Shown.whole(images, torch.zeros(len(images), 1)))


def unit(x: Tensor) -> Tensor:
    return x / math.sqrt(float((x * x).sum()))


def slow_rows(v: Tensor, t: Tensor, same: Tensor, score) -> float:
    """Mean over rows of -log softmax at the own text; other copies of the same image are no negatives."""
    total = 0.0
    for i in range(len(v)):
        own = score(v[i], t[i])
        others = [score(v[i], t[j]) for j in range(len(t)) if j != i and not same[i, j]]
        total += math.log(sum(math.exp(s - own) for s in others) + 1)
    return total / len(v)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """v, t and image numbers: rows 0 and 4 show the same image, so do 1, 2 and 5."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.tensor([7, 3, 3, 9, 7, 3])
    v, t = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    return v, t[torch.tensor([0, 1, 1, 3, 0, 1])], ids


def cosine(temperature: float):
    return lambda a, b: float(unit(a) @ unit(b)) / temperature


def dot(a: Tensor, b: Tensor) -> float:
    return float(a @ b)


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("with_same", [False, True])
def test_clip_and_ctr(batch: tuple[Tensor, Tensor, Tensor], temperature: float, with_same: bool) -> None:
    v, t, ids = batch
    same = ids[:, None] == ids[None, :] if with_same else torch.eye(6, dtype=torch.bool)
    rows, columns = slow_rows(v, t, same, cosine(temperature)), slow_rows(t, v, same, cosine(temperature))
    given = pairs_of(ids) if with_same else None
    assert losses.ctr_loss(v, t, temperature, given).item() == pytest.approx(rows)
    assert losses.clip_loss(v, t, temperature, given).item() == pytest.approx((rows + columns) / 2)


def test_byol(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    v, t, _ = batch
    slow = sum(2 - 2 * cosine(1.0)(v[i], t[i]) for i in range(6)) / 6
    assert losses.byol_loss(v, t).mean().item() == pytest.approx(slow)


@pytest.mark.parametrize("with_same", [False, True])
def test_textteacher_is_neither_normalised_nor_tempered(batch: tuple[Tensor, Tensor, Tensor], with_same: bool) -> None:
    v, t, ids = batch
    same = ids[:, None] == ids[None, :] if with_same else torch.eye(6, dtype=torch.bool)
    slow = (slow_rows(v, t, same, dot) + slow_rows(t, v, same, dot)) / 2
    given = pairs_of(ids) if with_same else None
    assert losses.textteacher_loss(v, t, given).item() == pytest.approx(slow)


def test_three_copies_cost_ln_3_as_negatives_and_nothing_here() -> None:
    """Six images, three copies each, perfectly aligned at a low temperature: what remains is the false negatives."""
    t = torch.eye(6, dtype=torch.float64).repeat_interleave(3, 0)
    ids = torch.arange(6).repeat_interleave(3)
    assert losses.clip_loss(t, t, 0.02).item() == pytest.approx(math.log(3))
    assert losses.clip_loss(t, t, 0.02, pairs_of(ids)).item() == pytest.approx(0, abs=1e-9)


def test_soft_cross_entropy_skips_rows_without_target() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0], [2.0, 0.0, 0.0]])
    targets = torch.tensor([[0.0, 0.7, 0.3], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])

    def log_probability(row: int, column: int) -> float:
        scores = logits[row].tolist()
        return scores[column] - math.log(sum(map(math.exp, scores)))

    slow = -(0.7 * log_probability(0, 1) + 0.3 * log_probability(0, 2) + log_probability(2, 0)) / 2
    assert losses.soft_cross_entropy(logits, targets).item() == pytest.approx(slow)
    assert losses.soft_cross_entropy(logits, torch.zeros(3, 3)).item() == 0


def test_generalised_cross_entropy_lies_between_its_limits() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.tensor([[1, 0, 0], [0, 1, 0], [0.2, 0.3, 0.5], [0, 0, 0], [0, 0, 1]], dtype=torch.float64)
    slow = 0.0
    for row, wanted in zip(logits.tolist(), targets.tolist(), strict=True):
        total = sum(map(math.exp, row))
        for z, t in zip(row, wanted, strict=True):
            slow += t * (1 - (math.exp(z) / total) ** 0.7) / 0.7
    assert losses.generalised_cross_entropy(logits, targets).item() == pytest.approx(slow / 4, rel=1e-5)
    near_zero = losses.generalised_cross_entropy(logits, targets, 1e-3).item()
    assert near_zero == pytest.approx(losses.soft_cross_entropy(logits, targets).item(), rel=1e-2)

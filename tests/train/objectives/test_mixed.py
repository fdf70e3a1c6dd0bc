"""Mixup and CutMix: what two rows both show is no negative, against loops over images and over pairs."""

import math
from collections import Counter

import pytest
import torch

from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown, compute_overlap
from gpt4image.train.targets.source import Targets

ROWS, TEMPERATURE, SCALE = 6, 0.05, 4.0
DIFFERENT, COPIES = [0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2]
"""Images of a batch: once each, or two copies in a row (repeated augmentation)."""
LABELS = [0, 1, 0, 1, 2, 2]


def mix_weights(share: float) -> torch.Tensor:
    """timm's batch mode: each row with the one at the same place from the end."""
    return share * torch.eye(ROWS) + (1 - share) * torch.eye(ROWS).flip(0)


def make_targets(images: list[int]) -> Targets:
    classes = torch.eye(3)[[LABELS[image] for image in images]]
    text = SCALE * torch.eye(ROWS)[images]
    shown = Shown.whole(torch.tensor(images), classes)
    return Targets(classes, text, torch.ones(ROWS, dtype=torch.bool), shown)


def contents(images: list[int], share: float) -> list[Counter]:
    """Image to share of each row."""
    rows = []
    for row in range(ROWS):
        content: Counter = Counter()
        content[images[row]] += share
        content[images[ROWS - 1 - row]] += 1 - share
        rows.append(content)
    return rows


def common(one: Counter, other: Counter) -> float:
    return sum(min(one[name], other[name]) for name in one)


def slow_rows(scores: list[list[float]], weights: list[list[float]], counts: list[list[float]]) -> float:
    total = 0.0
    for row, own, count in zip(scores, weights, counts, strict=True):
        log_sum = math.log(sum(c * math.exp(s) for s, c in zip(row, count, strict=True)))
        total -= sum(w / sum(own) * (s - log_sum) for s, w in zip(row, own, strict=True))
    return total / len(scores)


def slow_loss(name: str, vectors: torch.Tensor, weights: list[list[float]], counts: list[list[float]]) -> float:
    if name != "textteacher":
        vectors = vectors / vectors.norm(dim=1, keepdim=True) / math.sqrt(TEMPERATURE)
    scores = [[float(a @ b) for b in vectors.double()] for a in vectors.double()]
    rows = slow_rows(scores, weights, counts)
    if name == "ctr":
        return rows
    turned = [list(map(list, zip(*table, strict=True))) for table in (scores, weights, counts)]
    return (rows + slow_rows(*turned)) / 2


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("images", [DIFFERENT, COPIES], ids=["different", "copies"])
@pytest.mark.parametrize("related", ["negative", "excluded", "positive"])
@pytest.mark.parametrize("name", ["clip", "ctr", "textteacher"])
def test_the_loss_of_a_perfect_model(name: str, related: str, images: list[int], share: float) -> None:
    """Projected features that equal the mixed texts."""
    targets = make_targets(images).mix(mix_weights(share))
    rows = contents(images, share)
    classes = [Counter() for _ in rows]
    for content, row in zip(classes, rows, strict=True):
        for image, part in row.items():
            content[LABELS[image]] += part
    weights, counts = [[[float(i == j) for j in range(ROWS)] for i in range(ROWS)] for _ in range(2)]
    for i in range(ROWS):
        for j in range(ROWS):
            if i == j:
                continue
            different, same_class = max(1 - common(rows[i], rows[j]), 0), common(classes[i], classes[j])
            counts[i][j] = min(different, 1 - same_class) if related == "excluded" else different
            if related == "positive":
                weights[i][j] = min(different, same_class)
    objective = Objective(name, 0.3, TEMPERATURE, related)  # type: ignore[arg-type]
    loss, _ = objective.compute_text_loss(targets.text, targets)
    assert loss.item() == pytest.approx(slow_loss(name, targets.text, weights, counts), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["clip", "ctr"])
@pytest.mark.parametrize("images", [DIFFERENT, COPIES], ids=["different", "copies"])
def test_two_halves_of_the_same_images_leave_nothing_to_learn(name: str, images: list[int]) -> None:
    targets = make_targets(images).mix(mix_weights(0.5))
    loss, _ = Objective(name, 0.3, TEMPERATURE).compute_text_loss(targets.text, targets)
    assert loss.item() == pytest.approx(0, abs=1e-4)


def test_common_parts_of_rows() -> None:
    names, shares = torch.tensor([[1, 2], [2, 1], [1, 1], [3, 3]]), torch.tensor([[0.3, 0.7]] * 4)
    wanted = torch.tensor([[1, 0.6, 0.3, 0], [0.6, 1, 0.7, 0], [0.3, 0.7, 1, 0], [0, 0, 0, 1]])
    assert compute_overlap(names, shares) == pytest.approx(wanted)

"""Metrics against slow versions written out by hand."""

import numpy as np
import pytest

from gpt4image.evaluate.metrics import compute_metrics


def _slow_ece(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    total = 0.0
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(1, keepdims=True)
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, label in zip(probabilities, labels, strict=True):
        members[min(int(row.max() * bins), bins - 1)].append((row.max(), row.argmax() == label))
    for member in members:
        if member:
            confidence, hit = np.array(member, dtype=float).T
            total += len(member) / len(labels) * abs(confidence.mean() - hit.mean())
    return 100 * total


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_against_slow_versions(scale: float) -> None:
    rng = np.random.default_rng(3)
    # Logits within [0, 1] for the smallest scale: these must be taken for logits, not for probabilities.
    logits = (scale * rng.random((400, 7))).astype(np.float32)
    labels = rng.integers(0, 7, 400)
    metrics = compute_metrics(logits, labels, list("abcdefg"))
    order = np.argsort(-logits, axis=1)
    assert metrics.top1 == pytest.approx(100 * np.mean(order[:, 0] == labels))
    assert metrics.top5 == pytest.approx(100 * np.mean([y in row[:5] for y, row in zip(labels, order, strict=True)]))
    assert metrics.ece == pytest.approx(_slow_ece(logits, labels), abs=1e-3)
    for number, name in enumerate("abcdefg"):
        mine = labels == number
        assert metrics.per_class[name].n == mine.sum()
        assert metrics.per_class[name].accuracy == pytest.approx(100 * np.mean(order[mine, 0] == number), abs=1e-4)


def test_few_classes_and_a_class_without_images() -> None:
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0]], dtype=np.float32)
    metrics = compute_metrics(logits, np.array([0, 0]), ["cat", "dog", "owl"])
    assert (metrics.top1, metrics.top5, metrics.n) == (50, 100, 2)
    assert metrics.per_class["dog"].accuracy is None
    assert metrics.per_class["cat"].accuracy == pytest.approx(50)
    # Of the classes that occur: half of the cats found, all that are called cats are some.
    assert (metrics.macro, metrics.macro_f1) == (pytest.approx(50), pytest.approx(200 / 3))


def test_macro_measures_of_a_rare_class_by_hand() -> None:
    labels = np.array([0] * 8 + [1] * 2)
    logits = np.eye(2, dtype=np.float32)[[0] * 6 + [1] * 2 + [0, 1]]
    metrics = compute_metrics(logits, labels, ["common", "rare"])
    assert metrics.top1 == pytest.approx(70)
    assert metrics.macro == pytest.approx(100 * (6 / 8 + 1 / 2) / 2)
    # Twice the right ones, by those of the class and those that are called so.
    assert metrics.macro_f1 == pytest.approx(100 * (12 / (8 + 7) + 2 / (2 + 3)) / 2)
    # Recall, one in two; one in three of those that are called rare is.
    assert (metrics.per_class["rare"].accuracy, metrics.per_class["rare"].n) == (pytest.approx(50), 2)

"""The numbers behind the pictures, against slow or independent versions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.decomposition import PCA

from gpt4image.evaluate.metrics import compute_metrics
from gpt4image.evaluate.projector import load_projector, project
from gpt4image.evaluate.record import Predictions
from gpt4image.report.charts.calibration import compute_reliability
from gpt4image.report.charts.feature_map import align, choose_classes, compute_neighbour_agreement, compute_pca
from gpt4image.report.charts.per_class import compute_class_gains
from gpt4image.report.charts.svg import Axes, choose_ticks, format_tick
from gpt4image.report.inside.examples import find_changes, mean_probabilities
from gpt4image.report.inside.inside import find_nearest
from gpt4image.runs import PROJECTOR
from gpt4image.train.objectives.projector import create_projector


def _predictions(logits: np.ndarray, labels: np.ndarray) -> Predictions:
    return Predictions(logits.astype(np.float32), labels, [f"{i:064x}" for i in range(len(labels))])


def _answers(classes: list[int], labels: list[int], num_classes: int = 3) -> Predictions:
    """Predictions that name these classes with some confidence."""
    return _predictions(2 * np.eye(num_classes)[classes], np.array(labels))


def test_reliability_table_gives_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    one = _predictions(2 * rng.normal(size=(300, 5)), rng.integers(0, 5, 300))
    table = compute_reliability([one])
    ece = 100 * (table[:, 2] * abs(table[:, 0] - table[:, 1])).sum() / table[:, 2].sum()
    assert table[:, 2].sum() == 300
    assert ece == pytest.approx(compute_metrics(one.logits, one.labels, list("abcde")).ece, abs=1e-3)


def test_probabilities_of_large_logits() -> None:
    one = _predictions(np.array([[1000.0, 1000.0]]), np.array([0]))
    assert mean_probabilities([one]).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(("kind", "norm"), [("mlp", True), ("mlp", False), ("linear", True)])
def test_projection_is_that_of_the_module(kind: str, norm: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    projector = create_projector(kind, 12, 5, norm=norm, std=0.5)
    projector.train()(torch.randn(64, 12))
    features = torch.randn(7, 12)
    save_file(projector.state_dict(), tmp_path / PROJECTOR)
    expected = projector.eval()(features).detach().numpy()
    found = load_projector(tmp_path)
    assert found is not None
    assert project(found, features.numpy()) == pytest.approx(expected, abs=1e-5)


def test_nearest_ignores_what_all_have_in_common() -> None:
    directions = np.array([[1, 0], [0, 1], [-1, -1]], dtype=np.float32)
    assert find_nearest(directions + 50, 3 * directions - 20, 1)[:, 0].tolist() == [0, 1, 2]


def test_pca_against_scikit_learn() -> None:
    features = np.random.default_rng(1).normal(size=(40, 6)) @ np.diag([5, 3, 1, 1, 1, 1])
    places, explained = compute_pca(features)
    reference = PCA(2).fit(features)
    assert explained == pytest.approx(reference.explained_variance_ratio_.sum())
    assert np.abs(places) == pytest.approx(np.abs(reference.transform(features)))


def test_alignment_undoes_a_turn_and_a_mirror() -> None:
    places = np.random.default_rng(2).normal(size=(30, 2))
    turned = places @ np.array([[0.6, -0.8], [0.8, 0.6]]) @ np.diag([1, -1])
    assert align(turned, places) == pytest.approx(places)


def test_neighbour_agreement_by_hand() -> None:
    features = np.array([[1, 0], [2, 0.1], [0, 1], [0.1, 3.0]])
    assert compute_neighbour_agreement(features, np.array([0, 0, 1, 1])) == 1
    assert compute_neighbour_agreement(features, np.array([0, 1, 1, 0])) == 0
    assert choose_classes(np.array([5] * 3 + [2] * 4 + [7])) == [2, 5, 7]


def test_changes_follow_the_mean_of_the_seeds_and_spare_the_page_from_one_class() -> None:
    labels = [0, 0, 0, 0, 1, 2]
    baseline = [_answers([1, 1, 1, 1, 1, 2], labels)] * 3
    arm = [_answers([0, 0, 0, 1, 0, 2], labels)] * 2 + [_answers([0, 0, 0, 0, 1, 2], labels)]
    changes = find_changes(baseline, arm)
    assert (changes.num_improved, changes.num_worsened) == (3, 1)
    assert len(changes.improved) == 2
    assert changes.worsened == [4]
    assert mean_probabilities(arm)[3, 1] == pytest.approx((2 * np.exp(2) + 1) / 3 / (np.exp(2) + 2))


def test_class_gains_by_hand() -> None:
    labels = [0] * 4 + [1] * 4 + [2]
    baseline = [_answers([0, 0, 1, 1, 1, 1, 1, 0, 2], labels)]
    arm = [_answers([0, 0, 0, 1, 1, 1, 0, 0, 2], labels)]
    gains = compute_class_gains(baseline, arm, ["a", "b", "c"])
    assert [(gain.name, gain.baseline, gain.arm, gain.n) for gain in gains] == [("a", 50, 75, 4), ("b", 75, 50, 4)]
    assert gains[0].difference.mean == 25
    assert gains[0].difference.high <= 100


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (1, 30, [10, 20, 30]), (-0.5, 0.4, [-0.4, -0.2, 0, 0.2, 0.4]), (3, 3, [3])],
)
def test_ticks_are_round_and_inside(low: float, high: float, ticks: list[float]) -> None:
    assert choose_ticks(low, high) == pytest.approx(ticks)
    assert format_tick(-0.2) == "−0.2"


def test_epochs_have_no_fractions() -> None:
    assert choose_ticks(1, 3, least_step=1) == [1, 2, 3]


def test_axes_put_the_origin_at_the_lower_left() -> None:
    axes = Axes((0, 10), (0, 1))
    assert axes.x(0) < axes.x(10)
    assert axes.y(0) > axes.y(1)
    assert axes.path([0, 10], [0, 1]) == f"{axes.x(0)},{axes.y(0)} {axes.x(10)},{axes.y(1)}"

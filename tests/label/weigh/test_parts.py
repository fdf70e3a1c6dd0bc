"""Parts against slow versions, limits, values computed by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from gpt4image.label.weigh.calibration import calibrate
from gpt4image.label.weigh.channel import Channel
from gpt4image.label.weigh.evidence import NO_LABEL, NONE_OF_THESE, Picks
from gpt4image.label.weigh.log_space import normalise_logs
from gpt4image.label.weigh.pick_table import fit_pick_tables
from gpt4image.label.weigh.pool import combine, fit_weights
from gpt4image.label.weigh.regression import cross_fit
from gpt4image.label.weigh.reliability import estimate_accuracy
from gpt4image.label.weigh.strangeness import combine_strangeness


def test_regression_equals_scikit_learn_on_hard_targets():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    x = rng.standard_normal((200, 4)).astype(np.float32) + y[:, None]
    folds = np.arange(200) % 5
    points = np.hstack([x, np.ones((200, 1), np.float32)])
    mine = cross_fit(points, np.eye(3)[y], folds, penalty=1.0).read_held_out(points, folds)
    theirs = np.empty((200, 3))
    for fold in range(5):
        model = LogisticRegression(C=1.0, max_iter=1000).fit(x[folds != fold], y[folds != fold])
        theirs[folds == fold] = model.predict_log_proba(x[folds == fold])
    mine = mine - np.log(np.exp(mine).sum(1, keepdims=True))
    assert np.abs(mine - theirs).max() < 0.05


def test_regression_reaches_its_optimum_where_components_differ_in_variance():
    rng = np.random.default_rng(2)
    spread = np.append(0.95 ** np.arange(120), 1).astype(np.float32)
    points = np.hstack([rng.standard_normal((600, 120)), np.ones((600, 1))]).astype(np.float32) * spread
    shown = points @ (rng.standard_normal((121, 5)) / spread[:, None]).astype(np.float32)
    targets = np.exp(normalise_logs(shown))
    ridge = np.append(np.full(120, 0.1), 1e-3)[:, None]

    def measure(weights: np.ndarray) -> float:
        logs = normalise_logs(points.astype(np.float64) @ weights)
        return float(-(targets * logs).sum() + 0.5 * (ridge * weights**2).sum())

    def descend(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(121, 5)
        slope = points.T @ (np.exp(normalise_logs(points @ weights)) - targets) + ridge * weights
        return measure(weights), slope.ravel()

    exact = minimize(descend, np.zeros(605), jac=True, options={"maxiter": 5000, "maxfun": 9000}, method="L-BFGS-B")
    fitted = cross_fit(points, targets, np.full(600, -1), penalty=0.1).weights[0]
    assert measure(fitted) - exact.fun < 0.02


def test_channel_rows_add_up_to_one_for_every_kind_of_noise():
    view = np.log(np.random.default_rng(0).dirichlet(np.ones(4), 7))
    similarity = np.random.default_rng(1).standard_normal((4, 4))
    for channel in (
        Channel(4, 0.3),
        Channel(4, 0.1, similar=0.2, similarity=similarity),
        Channel(4, 0.1, view="v", sight=0.7, bonus=2.0),
    ):
        total = sum(channel.compute_likelihood(np.full(7, label), {"v": view}) for label in range(4))
        np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_sight_equals_softmax_written_out():
    view = np.log(np.array([[0.5, 0.3, 0.2]]))
    found = Channel(3, 0.0, view="v", sight=1.0, bonus=np.log(2)).compute_likelihood(np.array([1]), {"v": view})
    # Of class 0: 0.5 counts twice, so label 1 has 0.3 / 1.5; of class 1 itself 0.6 / 1.3; of class 2: 0.3 / 1.2.
    np.testing.assert_allclose(found, [[0.3 / 1.5, 0.6 / 1.3, 0.3 / 1.2]], rtol=1e-6)


def test_leak_and_temperature_are_found_again():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 4000)
    logits = 6 * np.eye(5)[y] + rng.gumbel(size=(4000, 5))
    said = np.where(rng.random(4000) < 0.3, rng.integers(0, 5, 4000), (logits).argmax(1))
    found = calibrate(10 * np.eye(5)[said], np.full(5, 0.2), np.eye(5)[y])
    assert found.leak == pytest.approx(0.3, abs=0.05)


def test_pick_table_by_hand():
    picks = Picks("p", np.array([0] * 10), np.array([1] * 10), np.full(10, np.nan))
    targets = np.eye(3)[[0, 0, 0, 0, 0, 0, 0, 0, 1, 2]]
    _, table = fit_pick_tables(picks, targets, np.arange(10) % 5)
    accuracy = (8 + 0.85 * 5) / 15
    assert table.rows[0, 0] == pytest.approx((8 + 3 * accuracy) / 13)
    assert table.second == pytest.approx((1 + 1) / (2 + 2))
    np.testing.assert_allclose(table.read(picks, np.arange(2)).sum(1), 1, rtol=1e-5)


def test_confidence_moves_the_odds_of_a_pick_and_missing_confidence_does_not():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 3000)
    sure = rng.choice([0.5, 0.7, 0.9], 3000)
    right = rng.random(3000) < np.where(sure == 0.5, 0.6, 0.97)
    first = np.where(right, y, (y + 1) % 4)
    picks = Picks("p", first, np.full(3000, -1), np.where(np.arange(3000) < 2700, sure, np.nan))
    _, table = fit_pick_tables(picks, np.eye(4)[y], np.arange(3000) % 5)
    said = table.read(picks, np.arange(3000))
    np.testing.assert_allclose(said.sum(1), 1, rtol=1e-4)
    own = said[np.arange(3000), first]
    told = np.arange(3000) < 2700
    for level in (0.5, 0.9):
        chosen = told & (sure == level)
        assert own[chosen].mean() == pytest.approx(right[chosen].mean(), abs=0.03)
    assert own[~told].mean() == pytest.approx(right.mean(), abs=0.03)


def test_discriminant_analysis_of_many_cells_equals_scikit_learn(monkeypatch):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    monkeypatch.setattr("gpt4image.label.weigh.regression.MOST_CELLS", 0)
    monkeypatch.setattr("gpt4image.label.weigh.regression.SHRINKAGE", 0.0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.standard_normal((300, 4)).astype(np.float32) + 2 * y[:, None]
    folds = np.arange(300) % 5
    points = np.hstack([x, np.ones((300, 1), np.float32)])
    mine = cross_fit(points, np.eye(3)[y], folds).read_held_out(points, folds)
    mine = mine - np.log(np.exp(mine).sum(1, keepdims=True))
    for fold in range(5):
        model = LinearDiscriminantAnalysis(solver="lsqr").fit(x[folds != fold], y[folds != fold])
        theirs = model.predict_log_proba(x[folds == fold])
        assert np.abs(np.exp(mine[folds == fold]) - np.exp(theirs)).max() < 0.02


def test_one_pooled_witness_of_weight_one_is_itself():
    prior, said = np.array([0.5, 0.5]), np.array([[0.9, 0.1]])
    np.testing.assert_allclose(np.exp(combine([np.log(said / prior)], [1.0], prior)), said)


def test_interval_holds_the_accuracy():
    told = estimate_accuracy(np.zeros(100, int), np.tile([0.9, 0.1], (100, 1)))
    assert told["accuracy"] == pytest.approx(0.9)
    assert told["interval"][0] == pytest.approx(0.825, abs=0.01)
    assert told["interval"][1] == pytest.approx(0.945, abs=0.01)


def test_an_image_is_strange_if_its_describer_found_no_class_but_not_if_nobody_was_asked():
    first = np.array([0] * 98 + [NONE_OF_THESE, NO_LABEL])
    found = combine_strangeness([], [first], np.arange(100) < 98)
    usual = 0.5 / 99
    np.testing.assert_allclose(found[-2:], [np.log(0.8 / usual), 0])
    np.testing.assert_allclose(found[:98], np.log(0.2 / (1 - usual)))


def test_pool_with_a_leak_by_hand():
    prior = np.array([0.5, 0.3, 0.2])
    told, seen = np.array([[2.0, 0.0, -1.0]]), np.array([[0.0, 1.0, 0.5]])
    said = prior * np.exp(0.8 * told)
    said = 0.9 * said / said.sum() + 0.1 * prior
    expected = said * np.exp(0.5 * seen)
    found = np.exp(combine([seen, told], [0.5, 0.8], prior, told=[False, True], leak=0.1))
    np.testing.assert_allclose(found, expected / expected.sum())
    without = np.exp(combine([seen, told], [0.5, 0.8], prior))
    whole = prior * np.exp(0.8 * told + 0.5 * seen)
    np.testing.assert_allclose(without, whole / whole.sum())


def test_weights_and_leak_are_those_under_which_labels_are_likeliest():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 2000)
    prior = np.full(4, 0.25)
    source = np.where(rng.random(2000) < 0.3, rng.permutation(2000), np.arange(2000))
    told = [4 * np.eye(4)[y[source]] + rng.standard_normal((2000, 4)) for _ in range(2)]
    seen = 2 * np.eye(4)[y] + rng.standard_normal((2000, 4))
    known = [*told, seen], np.array([1.0, 0.6, 0.4]), prior, 0.99 * np.eye(4)[y] + 0.0025
    weights, leak, value = fit_weights(*known, told=[True, True, False], leaks=True)
    assert leak == pytest.approx(0.3, abs=0.05)
    _, none, without = fit_weights(*known)
    assert none == 0
    assert value > without + 20

    def measure(weights: np.ndarray, leak: float) -> float:
        log_p = combine(known[0], weights, prior, [True, True, False], leak)
        prior_cost = (((weights - known[1]) / 0.15) ** 2).sum() + (np.log(leak / (1 - leak)) + 3.5) ** 2
        return float(np.log((np.exp(log_p) * known[3]).sum(1)).sum() - 0.5 * prior_cost)

    assert measure(weights, leak) == pytest.approx(value, rel=1e-5)
    for change in np.eye(3):
        assert measure(weights + 0.05 * change, leak) < value
        assert measure(weights - 0.05 * change, leak) < value
    assert measure(weights, leak + 0.03) < value
    assert measure(weights, leak - 0.03) < value


def test_accuracy_is_a_share_of_images_and_no_mean_over_classes() -> None:
    named = np.array([0] * 90 + [1] * 10)
    belief = np.where(named[:, None] == 0, [0.9, 0.1], [0.5, 0.5])
    told = estimate_accuracy(named, belief)
    assert told["accuracy"] == pytest.approx(0.86)
    assert [one["accuracy"] for one in told["classes"]] == pytest.approx([0.9, 0.5])

"""The reader: cross-fitting, wrong labels, few labels, and texts that are worth nothing."""

import numpy as np
import pytest
import torch

from gpt4image.label import reader
from gpt4image.label.noise import make_channel
from gpt4image.label.posterior import compute_posterior, estimate_accuracy
from gpt4image.label.reader import read_texts, scale_features

CLASSES = 4


def make_texts(num: int, separation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Text embeddings around a centre a class: features [N, 16], labels [N], the centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, 16))
    labels = np.arange(num) % CLASSES
    vectors = separation * centres[labels] + rng.normal(size=(num, 16))
    features, names = scale_features(vectors, centres)
    assert names is not None
    return features, labels, names


def test_scaled_features_have_mean_zero_and_mean_squared_norm_one() -> None:
    features, _, _ = make_texts(200, 1.0)
    assert np.abs(features.mean(0)).max() < 1e-6
    assert np.mean((features**2).sum(1)) == pytest.approx(1, abs=1e-5)


def test_one_fold_is_the_regression_scikit_learn_finds() -> None:
    """Without noise and names, the fit of one fold solves the same penalised problem as LogisticRegression."""
    from sklearn.linear_model import LogisticRegression

    features, labels, _ = make_texts(120, 0.6)
    folds = reader._assign_folds(labels, seed=0)
    problem = reader._Problem(torch.from_numpy(features), labels, folds, CLASSES, None)
    found = problem.cross_fit(penalty=1.0, channel=np.eye(CLASSES))
    seen = folds != 0
    slow = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000).fit(features[seen], labels[seen])
    np.testing.assert_allclose(found[~seen], slow.predict_proba(features[~seen]), atol=5e-3)


def test_no_image_is_read_by_a_model_that_saw_its_label() -> None:
    """Changing one image's label must not change what the reader says of that image."""
    features, labels, _ = make_texts(80, 1.0)
    folds = reader._assign_folds(labels, seed=0)
    changed = labels.copy()
    changed[7] = (labels[7] + 1) % CLASSES
    x = torch.from_numpy(features)
    before = reader._Problem(x, labels, folds, CLASSES, None).cross_fit(
        0.1, make_channel(0.1, np.zeros((CLASSES, CLASSES)))
    )
    after = reader._Problem(x, changed, folds, CLASSES, None).cross_fit(
        0.1, make_channel(0.1, np.zeros((CLASSES, CLASSES)))
    )
    # The folds are solved side by side: the solver stops at another place, but finds the same solution.
    np.testing.assert_allclose(before[7], after[7], atol=2e-3)
    assert np.abs(before - after).max() > 0.02


def test_wrong_labels_are_found_and_outvoted() -> None:
    features, labels, _ = make_texts(2000, 1.0)
    rng = np.random.default_rng(1)
    given = labels.copy()
    wrong = rng.permutation(2000)[:800]
    given[wrong] = (labels[wrong] + rng.integers(1, CLASSES, 800)) % CLASSES
    reading = read_texts(features, given, CLASSES, None, seed=0)
    assert reading.calibration.noise == pytest.approx(0.4, abs=0.051)
    accuracy = (reading.probabilities.argmax(1) == labels).mean()
    assert accuracy > 0.9
    estimate = estimate_accuracy(reading.probabilities, given, reading.calibration.noise)
    assert estimate == pytest.approx(accuracy, abs=0.06)


def test_classes_that_are_taken_for_each_other_are_found_and_corrected() -> None:
    """A third of each class is labelled as the next one. Symmetric noise cannot say that, and would keep the labels."""
    features, labels, _ = make_texts(1200, 1.0)
    given = np.where(np.random.default_rng(1).random(1200) < 0.35, (labels + 1) % CLASSES, labels)
    reading = read_texts(features, given, CLASSES, None, seed=0)
    found = reading.calibration.confusions
    assert np.argwhere(found).tolist() == sorted([y, (y + 1) % CLASSES] for y in range(CLASSES))
    assert found[found > 0] == pytest.approx(np.full(CLASSES, 0.35), abs=0.12)
    assert reading.calibration.share_wrong == pytest.approx(0.35, abs=0.06)
    posterior = compute_posterior(reading.probabilities, given, reading.calibration.channel)
    assert (posterior.argmax(1) == labels).mean() > 0.95


def test_few_labels_are_completed_and_names_help() -> None:
    features, labels, names = make_texts(400, 0.8)
    few = np.full(400, -1)
    few[:8] = labels[:8]
    alone = read_texts(features, few, CLASSES, None, seed=0).probabilities
    named = read_texts(features, few, CLASSES, names, seed=0).probabilities
    assert (named.argmax(1) == labels).mean() > (alone.argmax(1) == labels).mean() > 0.5


def test_texts_that_say_nothing_are_not_believed() -> None:
    labels = np.arange(400) % CLASSES
    noise, _ = scale_features(np.random.default_rng(2).normal(size=(400, 16)), None)
    probabilities = read_texts(noise, labels, CLASSES, None, seed=0).probabilities
    assert np.abs(probabilities - 1 / CLASSES).max() < 0.25
    assert -np.log(probabilities[np.arange(400), labels]).mean() < np.log(CLASSES) + 0.02


@pytest.mark.parametrize("num_labels", [8, 40, 400])
def test_a_reader_knows_whether_texts_say_anything(num_labels: int) -> None:
    for seed in range(4):
        features, classes, names = make_texts(400, 1.0, seed)
        labels = np.where(np.arange(400) < num_labels, classes, -1)
        assert not read_texts(features, labels, CLASSES, names, seed).calibration.says_nothing
        others = features[np.random.default_rng(seed).permutation(400)]
        assert read_texts(others, labels, CLASSES, names, seed).calibration.says_nothing


@pytest.mark.parametrize("share_wrong", [0.0, 0.3])
def test_labels_stay_where_texts_say_nothing(share_wrong: float) -> None:
    """Any noise is then as likely as none; without a price for it, labels of four in ten images were overruled."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        given = np.where(rng.random(400) < share_wrong, rng.integers(0, CLASSES, 400), np.arange(400) % CLASSES)
        features, _ = scale_features(rng.normal(size=(400, 64)), None)
        reading = read_texts(features, given, CLASSES, None, seed)
        posterior = compute_posterior(reading.probabilities, given, reading.calibration.channel)
        assert (posterior.argmax(1) == given).all()

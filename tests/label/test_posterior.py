"""Label and reader together: Bayes by hand, and the limits."""

import numpy as np
import pytest

from gpt4image.label.noise import make_channel
from gpt4image.label.posterior import calibrate, compute_posterior, estimate_accuracy

NONE = np.zeros((3, 3))


def test_posterior_by_hand() -> None:
    """Three classes, eps 0.2: P(label 0 | y) = 0.8, 0.1, 0.1; times 0.5, 0.3, 0.2 is 0.40, 0.03, 0.02 of 0.45."""
    posterior = compute_posterior(np.array([[0.5, 0.3, 0.2]]), np.array([0]), make_channel(0.2, NONE))
    np.testing.assert_allclose(posterior, [[0.40 / 0.45, 0.03 / 0.45, 0.02 / 0.45]])


def test_without_label_the_text_alone_counts() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(compute_posterior(probabilities, np.array([-1]), make_channel(0.2, NONE)), probabilities)


def test_labels_that_are_never_wrong_stay() -> None:
    posterior = compute_posterior(np.array([[0.01, 0.99]]), np.array([0]), make_channel(1e-9, np.zeros((2, 2))))
    assert posterior[0, 0] == pytest.approx(1, abs=1e-6)


def test_calibration_finds_the_noise_and_the_temperature_of_made_labels() -> None:
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(20_000, 5))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (true.cumsum(1) > rng.random((len(true), 1))).argmax(1)
    wrong = rng.random(len(true)) < 0.3
    labels[wrong] = (labels[wrong] + rng.integers(1, 5, wrong.sum())) % 5
    blurred = np.exp(logits / 2) / np.exp(logits / 2).sum(1, keepdims=True)
    found = calibrate(blurred, labels)
    assert found.noise == pytest.approx(0.3, abs=0.051)
    assert found.temperature == pytest.approx(0.5, abs=0.11)


def test_calibration_knows_confusions() -> None:
    """Half of class 0 is labelled 1: with that known, the rest of the noise is found; the likelihood is Bayes' sum."""
    rng = np.random.default_rng(0)
    true = np.arange(3000) % 3
    probabilities = np.full((3000, 3), 0.05) + 0.85 * np.eye(3)[np.where(rng.random(3000) < 0.1, 2, true)]
    labels = np.where((true == 0) & (rng.random(3000) < 0.5), 1, true)
    confusions = np.array([[0, 0.5, 0], [0, 0, 0], [0, 0, 0]])
    found, blind = calibrate(probabilities, labels, confusions), calibrate(probabilities, labels)
    assert found.log_likelihood > blind.log_likelihood + 100
    by_hand = np.log((found.apply(probabilities) @ found.channel)[np.arange(3000), labels]).sum()
    assert found.log_likelihood == pytest.approx(by_hand, abs=1e-3)


def test_accuracy_from_agreement_by_hand() -> None:
    """Reader right in 3 of 4 by labels of which none is wrong; with wrong labels agreement is corrected upwards."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]])
    labels = np.array([0, 0, 1, 1])
    assert estimate_accuracy(probabilities, labels, 0.0) == pytest.approx(0.75)
    assert estimate_accuracy(probabilities, labels, 0.2) == pytest.approx((0.75 - 0.2) / 0.6)
    assert estimate_accuracy(probabilities, np.full(4, -1), 0.2) is None

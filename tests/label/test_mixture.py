"""Texts without labels: the mixture against a slow loop, clusters it must find, and zero-shot by class names."""

import numpy as np
import pytest

from gpt4image.label import mixture
from gpt4image.label.mixture import refine_with_mixture
from gpt4image.label.reader import scale_features
from gpt4image.label.zero_shot import read_by_class_names


def make_clusters(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three clusters of 60 unit vectors: embeddings, classes, centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, 24))
    labels = np.arange(180) % 3
    vectors = centres[labels] + 0.6 * rng.normal(size=(180, 24))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels, centres


def test_one_round_is_what_a_loop_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture, "NUM_ITERATIONS", 1)
    features, _ = scale_features(make_clusters()[0], None)
    rng = np.random.default_rng(1)
    start = rng.dirichlet(np.ones(3), size=180)
    labelled = np.arange(180) < 30
    found = refine_with_mixture(features, start, labelled)
    _, singular, directions = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    points = features @ directions.T / np.sqrt(singular)
    points /= np.sqrt((points**2).sum(1).mean())
    weight = np.where(labelled, 1.0, 0.5)
    expected = start.copy()
    for image in np.flatnonzero(~labelled):
        likelihood = []
        for label in range(3):
            mean = sum(weight[i] * start[i, label] * points[i] for i in range(180))
            mean = mean / sum(weight[i] * start[i, label] for i in range(180))
            likelihood.append(-((points[image] - mean) ** 2).sum() / (2 * mixture.VARIANCE))
        shares = np.exp(np.array(likelihood) - max(likelihood))
        expected[image] = shares / shares.sum()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_weak_start_is_completed_by_the_clusters() -> None:
    embeddings, labels, _ = make_clusters()
    features, _ = scale_features(embeddings, None)
    weak = np.full((180, 3), 1 / 3)
    weak[np.arange(180), labels] += 0.1 * np.random.default_rng(2).normal(1, 1.5, 180)
    weak = np.clip(weak, 0.01, None) / np.clip(weak, 0.01, None).sum(1, keepdims=True)
    before = (weak.argmax(1) == labels).mean()
    after = (refine_with_mixture(features, weak, np.zeros(180, dtype=bool)).argmax(1) == labels).mean()
    assert before < 0.85
    assert after > 0.97


def test_class_names_label_texts_and_classes_are_balanced() -> None:
    embeddings, labels, centres = make_clusters()
    names = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    # A direction that all texts share makes the first name look near to every text.
    shared = embeddings + 2 * names[0]
    shared /= np.linalg.norm(shared, axis=1, keepdims=True)
    assert ((shared @ names.T).argmax(1) == 0).all()
    probabilities = read_by_class_names(shared, names)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_allclose(probabilities.sum(0), 60, rtol=0.05)
    assert (probabilities.argmax(1) == labels).mean() > 0.95

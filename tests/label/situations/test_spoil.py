"""Labels made wrong as they are wrong in practice."""

import numpy as np

from gpt4image.label.situations.spoil import confuse_ambiguous, find_most_similar


def make_features(num: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Three classes in the plane; the first two lie near each other."""
    rng = np.random.default_rng(0)
    labels = np.arange(num) % 3
    centres = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 30.0]])
    return (centres[labels] + rng.normal(size=(num, 2))).astype(np.float32), labels


def test_the_most_similar_class_is_the_nearest_one() -> None:
    vectors, labels = make_features()
    assert find_most_similar(vectors, labels, 3)[:2].tolist() == [1, 0]


def test_ambiguous_images_get_the_runner_up() -> None:
    vectors, labels = make_features()
    spoilt = confuse_ambiguous(vectors, labels, 0.1, seed=0)
    changed = np.flatnonzero(spoilt != labels)
    assert len(changed) == 30
    assert (labels[changed] + spoilt[changed] == 1).all()
    # They lie nearer to the border between both classes than the others do.
    distance = np.abs(vectors[:, 0] - 1)
    assert distance[changed].mean() < distance[(labels != 2) & (spoilt == labels)].mean() / 2
    assert (confuse_ambiguous(vectors, labels, 0.1, seed=0) == spoilt).all()

"""The noise channel by hand, and the confusions that stand out of noise."""

import numpy as np

from gpt4image.label.noise import find_confusions, make_channel


def test_channel_by_hand() -> None:
    """Class 0 is labelled 1 in 0.3 of all cases; of the other 0.7, a fifth is any of the other two classes."""
    confusions = np.zeros((3, 3))
    confusions[0, 1] = 0.3
    expected = [[0.56, 0.37, 0.07], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    np.testing.assert_allclose(make_channel(0.2, confusions), expected)


def make_reading(num: int, num_classes: int, accuracy: float) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(0)
    true = np.arange(num) % num_classes
    wrong = rng.random(num) > accuracy
    read_as = np.where(wrong, rng.integers(0, num_classes, num), true)
    sure = np.where(wrong, rng.uniform(0.3, 0.7, num), rng.uniform(0.5, 1, num))[:, None]
    picked = np.eye(num_classes)[read_as]
    return sure * picked + (1 - sure) * (1 - picked) / (num_classes - 1), true, rng


def test_no_confusion_in_clean_labels_or_in_noise_that_is_alike() -> None:
    probabilities, true, rng = make_reading(2000, 8, 0.85)
    assert not find_confusions(probabilities, true).any()
    noisy = np.where(rng.random(2000) < 0.4, rng.integers(0, 8, 2000), true)
    assert not find_confusions(probabilities, noisy).any()


def test_one_confused_pair_is_found_with_its_share() -> None:
    probabilities, true, rng = make_reading(2000, 8, 0.85)
    labels = np.where((true == 5) & (rng.random(2000) < 0.4), 2, true)
    found = find_confusions(probabilities, labels)
    assert np.argwhere(found).tolist() == [[5, 2]]
    assert abs(found[5, 2] - 0.4) < 0.12


def test_a_class_that_is_never_read_has_no_confusions() -> None:
    probabilities, true, _ = make_reading(400, 4, 1.0)
    probabilities[:, 3] = 0
    assert not find_confusions(probabilities, true)[3].any()

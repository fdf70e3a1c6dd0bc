import numpy as np
import pytest

from gpt4image.images import UNLABELLED
from gpt4image.label.situations.choose import (
    choose_described,
    confuse_some_labels,
    keep_some_labels,
    make_some_labels_wrong,
)

LABELS = np.array([0] * 40 + [1] * 20 + [UNLABELLED] * 10 + [2] * 4)


@pytest.mark.parametrize(("keep", "counts"), [(0.5, [20, 10, 2]), (0.1, [4, 2, 0]), (5, [5, 5, 4]), (1, [40, 20, 4])])
def test_labels_are_kept_class_by_class(keep: float, counts: list[int]) -> None:
    kept = keep_some_labels(LABELS, keep, seed=3)
    assert [int((kept == label).sum()) for label in range(3)] == counts
    assert ((kept == LABELS) | (kept == UNLABELLED)).all()


def test_the_choice_depends_on_the_seed_alone() -> None:
    first, again, other = (keep_some_labels(LABELS, 0.5, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_wrong_labels_are_always_another_class_and_every_other_class() -> None:
    labels = np.zeros(3000, dtype=np.int64)
    wrong = make_some_labels_wrong(labels, 0.5, 4, seed=0)
    counts = np.bincount(wrong, minlength=4)
    assert counts[0] == 1500
    assert counts[1:].min() > 400
    unlabelled = make_some_labels_wrong(LABELS, 1.0, 3, seed=0)
    assert ((unlabelled == UNLABELLED) == (LABELS == UNLABELLED)).all()
    assert (unlabelled[LABELS >= 0] != LABELS[LABELS >= 0]).all()


def test_confused_labels_are_always_the_next_class() -> None:
    confused = confuse_some_labels(LABELS, 0.25, 3, seed=0)
    assert [int((confused[label == LABELS] == (label + 1) % 3).sum()) for label in range(3)] == [10, 5, 1]
    assert (confused == LABELS).sum() == len(LABELS) - 16


def test_a_share_of_the_described_images_keeps_its_descriptions() -> None:
    count = np.array([2, 0, 1, 1, 0, 1, 3])
    chosen = choose_described(count, 0.4, seed=1)
    assert chosen.sum() == 2
    assert not chosen[count == 0].any()

"""The LLM's own opinion beside the label: what is learnt, where, and by default."""

from pathlib import Path

import numpy as np
import pytest

from gpt4image.errors import SettingsError
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.labels import LearntLabels

NAMES = ("a", "b", "c")
CLASSES = np.array([[1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]])
LABELS = np.array([[1, 0, 0], [0.75, 0.25, 0], [1, 0, 0], [0, 0, 0]], dtype=np.float32)
TOLD = np.array([[0.5, 0.25, 0.25], [0.25, 0.75, 0], [0, 0, 0], [1, 0, 0]], dtype=np.float32)


def make(**changes: object) -> LearntLabels:
    return LearntLabels(NAMES, CLASSES, LABELS, {}, **{"told": TOLD, "distillation": 0.4, **changes})


def test_label_and_opinion_are_mixed_where_there_are_both() -> None:
    wanted = np.zeros((4, 3))
    for image in range(4):
        both = LABELS[image].any() and TOLD[image].any()
        for place, number in enumerate(CLASSES[image]):
            share = 0.4 if both else 0
            wanted[image, number] = (1 - share) * LABELS[image, place] + share * TOLD[image, place]
    assert make()[np.arange(4)] == pytest.approx(wanted)
    assert make()[np.array([2, 0])] == pytest.approx(wanted[[2, 0]])
    assert make().subset(np.array([3, 1]))[np.arange(2)] == pytest.approx(wanted[[3, 1]])


def test_which_class_an_image_is_taken_for_is_what_its_label_says() -> None:
    # Of the second image label and opinion together would say 2.
    assert make(distillation=0.9).most_probable.tolist() == [1, 0, 2, -1]


def test_a_run_that_learns_another_share_is_another_run() -> None:
    assert make().hash != make(distillation=0.3).hash
    assert make(distillation=0.0).hash == make(told=None).hash


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"pretrained": True}, 0.3),
        ({"pretrained": True, "distillation": 0.1}, 0.1),
        ({}, 0.0),
        ({"distillation": 0.2}, 0.2),
        ({"pretrained": True, "targets": "true"}, 0.0),
        ({"pretrained": True, "labels": None}, 0.0),
    ],
)
def test_by_default_it_is_learnt_from_given_weights(changes: dict[str, object], share: float) -> None:
    values = {"work": Path("work"), "labels": "default", **changes}
    assert TrainSettings("photos", Path("run"), **values).distillation == share


def test_shares_beyond_one_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"--distillation is 1\.5; it must be between 0 and 1"):
        TrainSettings("photos", Path("run"), Path("work"), labels="default", distillation=1.5)


@pytest.mark.parametrize("changes", [{"labels": None}, {"targets": "picks"}, {"labels": None, "pretrained": True}])
def test_it_is_refused_where_it_would_have_no_effect(changes: dict[str, object]) -> None:
    values = {"work": Path("work"), "labels": "default", "distillation": 0.2, **changes}
    with pytest.raises(SettingsError, match=r"--distillation 0.2 is learnt beside weighed labels; add --labels NAME"):
        TrainSettings("photos", Path("run"), **values)
    assert TrainSettings("photos", Path("run"), **{**values, "distillation": 0.0}).distillation == 0

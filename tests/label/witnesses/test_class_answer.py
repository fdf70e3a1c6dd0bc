"""Which class an answer in words names."""

import pytest

from gpt4image.images import UNLABELLED
from gpt4image.label.witnesses.class_answer import match_class

CLASSES = ["shirt", "t-shirt", "ankle boot", "rain_coat", "no parking"]


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("shirt", 0),
        (" T-Shirt.\n", 1),
        ("**Ankle  boot**", 2),
        ("It is an ankle boot.", 2),
        ("Rain coat", 3),
        ("no parking", 4),
        ("shirt or t-shirt", UNLABELLED),
        ("not a shirt", UNLABELLED),
        ("none", UNLABELLED),
        ("shirts", UNLABELLED),
        ("boot", UNLABELLED),
        ("", UNLABELLED),
    ],
)
def test_an_answer_names_one_class_or_none(answer: str, label: int) -> None:
    assert match_class(answer, CLASSES) == label


def test_classes_that_only_punctuation_tells_apart_are_not_named() -> None:
    assert match_class("rain coat", ["rain_coat", "rain-coat"]) == UNLABELLED

"""Labels as tables have them."""

import math

import numpy as np
import pytest

from gpt4image.errors import ImageSetError
from gpt4image.images.remarks import Remarks
from gpt4image.images.tables.labels import check_labels, number_labels


@pytest.mark.parametrize(
    ("values", "classes", "labels"),
    [
        (["cat", "cat ", " cat", "dog"], ("cat", "dog"), [0, 0, 0, 1]),
        (["caf\u00e9", "cafe\u0301"], ("café",), [0, 0]),
        ([0.0, math.nan, 1.0], ("0", "1"), [0, -1, 1]),
        (["0.0", "", "10.0", "2.0"], ("0", "2", "10"), [0, -1, 2, 1]),
        (["1.0", "1.5"], ("1.0", "1.5"), [0, 1]),
        ([-1, 3, "-1", "NaN", "  ", None, ""], ("3",), [-1, 0, -1, -1, -1, -1, -1]),
        ([np.int64(7), 7, "7"], ("7",), [0, 0, 0]),
        (["007", "7", "10"], ("007", "7", "10"), [0, 1, 2]),
        ([True, False], ("False", "True"), [1, 0]),
        (["none", "null"], ("none", "null"), [0, 1]),
    ],
)
def test_what_is_the_same_is_one_class(values: list[object], classes: tuple[str, ...], labels: list[int]) -> None:
    found, names = number_labels(values)
    assert (names, found.tolist()) == (classes, labels)


@pytest.mark.parametrize("value", [["cat"], ("cat", "pet"), {"name": "cat"}, b"cat"])
def test_labels_that_are_no_word(value: object) -> None:
    with pytest.raises(
        ImageSetError, match=r"x\.csv: the label in row 2 is .*, no word or number; an image has one label"
    ):
        number_labels(["cat", value], "x.csv")


def test_what_is_said() -> None:
    remarks = Remarks()
    number_labels(["Cat", "cat ", "cat", "NaN", -1, None], "x.csv", remarks)
    assert list(remarks.lines()) == [
        "1 label was trimmed: spaces around it, or another Unicode form",
        "2 labels are blank, NaN or -1: taken as none, these images are unlabelled",
        "classes that differ in upper and lower case, or in zeros in front, only: Cat and cat",
    ]


def test_words_that_may_mean_no_label_are_named() -> None:
    remarks = Remarks()
    assert number_labels(["cat", "N/A", "None", "?", "cat"], "x.csv", remarks)[1] == ("?", "N/A", "None", "cat")
    assert list(remarks.lines()) == ["taken for classes: ?, N/A, None; leave the label empty where there is none"]


def test_a_number_is_one_class_with_and_without_a_point() -> None:
    assert number_labels(["1", "1.0", "2"], "x.csv")[1] == ("1", "2")


def test_numbers_with_zeros_in_front_are_said_to_be_alike() -> None:
    remarks = Remarks()
    number_labels(["1", "01", "a"], "x.csv", remarks)
    assert "01 and 1" in " ".join(remarks.lines())


def test_numbers_of_named_classes() -> None:
    assert check_labels([0.0, math.nan, "1", -1, None], ["a", "b"], "x").tolist() == [0, -1, 1, -1, -1]
    with pytest.raises(ImageSetError, match="a label is no number of a class"):
        check_labels(["cat"], ["a"], "x")

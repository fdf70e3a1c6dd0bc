"""Answers of people: appended, taken back, never lost."""

from pathlib import Path

import pytest

from gpt4image.errors import LabelError
from gpt4image.label.answers import FILE, NONE_OF_THESE, match_answers, read_answers, record_answer


def test_the_last_answer_that_was_not_taken_back_holds(tmp_path: Path) -> None:
    record_answer(tmp_path, "a", "cat", "ann")
    record_answer(tmp_path, "a", "dog", "bob")
    record_answer(tmp_path, "b", None, "ann")
    answers = read_answers(tmp_path)
    assert (answers["a"].class_name, answers["a"].who) == ("dog", "bob")
    assert match_answers(answers, ["a", "b", "c"], ["cat", "dog"]).tolist() == [1, NONE_OF_THESE, -1]
    record_answer(tmp_path, "a", None, "bob", undo=True)
    assert read_answers(tmp_path)["a"].class_name == "cat"
    record_answer(tmp_path, "a", None, "bob", undo=True)
    record_answer(tmp_path, "a", None, "bob", undo=True)
    assert set(read_answers(tmp_path)) == {"b"}


def test_half_a_line_left_by_a_crash_costs_no_other_answer(tmp_path: Path) -> None:
    record_answer(tmp_path, "a", "cat", "ann")
    path = tmp_path / "labels" / FILE
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole + whole[:cut])
        record_answer(tmp_path, "b", "dog", "ann")
        answers = read_answers(tmp_path)
        assert {digest: answer.class_name for digest, answer in answers.items()} == {"a": "cat", "b": "dog"}


def test_an_answer_of_an_unknown_class_is_one_clear_error(tmp_path: Path) -> None:
    record_answer(tmp_path, "a", "horse", "ann")
    with pytest.raises(LabelError, match="ann called an image 'horse', but the classes are cat, dog"):
        match_answers(read_answers(tmp_path), ["a"], ["cat", "dog"])

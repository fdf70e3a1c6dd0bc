"""Texts that decline to describe."""

import re

import pytest

from gpt4image.describe.asking import refusals
from gpt4image.describe.asking.refusals import LONGEST_OPENING, judge_text
from gpt4image.describe.store.states import State


@pytest.mark.parametrize("marks", ["!", "! ", "\n", "'", "sorry "])
def test_only_the_beginning_of_a_text_is_looked_at(monkeypatch: pytest.MonkeyPatch, marks: str) -> None:
    """A million marks took hours, as each was tried as an end of the first and the beginning of the second part."""
    lengths = []

    class Recording:
        def match(self, text: str) -> re.Match[str] | None:
            lengths.append(len(text))
            return pattern.match(text)

    pattern = refusals.REFUSAL
    monkeypatch.setattr(refusals, "REFUSAL", Recording())
    assert judge_text(marks * 500_000 + "a cat") is State.OK
    assert lengths == [LONGEST_OPENING]


def test_what_repeats_without_limit_gives_nothing_back() -> None:
    assert re.findall(r"(?<![\\*+])[*+](?!\+)", re.sub(r"\[[^]]*\]", "[]", refusals.REFUSAL.pattern)) == []
    assert judge_text("!!! I'm sorry, but I can't help with that.") is State.REFUSED

"""Prompts whose answers are no descriptions: picks (the class that a describer names) and what stands beside them."""

from collections.abc import Iterable
from dataclasses import dataclass

PICKS = ("pick_class", "pick")
"""Prompts, or columns of a replayed file, that hold the class; so does every field called `class` (`NAME.class`)."""
SECONDS = ("second",)
CONFIDENCES = ("confidence", "sure")
SHORTLIST = "shortlist-"
"""How names begin whose answers only prepare a pick: the winner of a group of classes."""


@dataclass(frozen=True)
class PickNames:
    """One prompt of picks with its companions, as stored.

    Attributes:
        first: prompt whose answers name the class.
        second: prompt whose answers name the second choice, or None.
        confidence: prompt whose answers say how sure the describer was, or None.
    """

    first: str
    second: str | None
    confidence: str | None


def is_pick(name: str) -> bool:
    """Whether the answers to a prompt of this name are classes."""
    base = _base(name)
    return base in PICKS or base.endswith(".class")


def is_answer(name: str) -> bool:
    """Whether the answers to a prompt of this name are a pick or what stands beside one: a word or number, no text."""
    last = _base(name).replace("_", ".").rpartition(".")[2]
    return is_pick(name) or name.startswith(SHORTLIST) or last in (*SECONDS, *CONFIDENCES)


def with_companions(name: str, known: Iterable[str]) -> PickNames:
    """A prompt of picks and what was asked together with it: `X.second` beside `X.class`, `pick_sure` beside `pick`."""
    base, known = _base(name), list(known)
    stem = base.removesuffix("class") if base.endswith(".class") else ""

    def find(words: tuple[str, ...]) -> str | None:
        wanted = [stem + word for word in words] if stem or base == "pick" else []
        wanted += [f"{base}_{word}" for word in words]
        return next((stored for word in wanted for stored in known if _base(stored) == word), None)

    return PickNames(name, find(SECONDS), find(CONFIDENCES))


def split_answers(known: Iterable[str]) -> tuple[list[PickNames], list[str]]:
    """The picks among stored prompts, and the prompts that hold descriptions."""
    known = list(known)
    picks = [with_companions(name, known) for name in known if is_pick(name)]
    answers = {name for pick in picks for name in (pick.first, pick.second, pick.confidence)}
    return picks, [name for name in known if name not in answers and not name.startswith(SHORTLIST)]


def _base(name: str) -> str:
    """The name without its version."""
    return name.rpartition("@")[0] or name

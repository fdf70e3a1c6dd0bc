"""From right and wrong answers to a verdict in one line, and what to change."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gpt4image.describe.asking.finish import CUT_WORDS
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.doctor.cards import DIRECTIONS, Card
from gpt4image.describe.store.states import State

SWAPPED = {"red": "blue", "blue": "red"}
SEES = 0.75
WORDLESS = {
    State.REFUSED: (
        "the endpoint refuses most pictures, harmless as they are",
        "another --model, or an endpoint without this filter; if it is a text model, one that sees",
    ),
    State.EMPTY: (
        "the model answers without a word",
        "look at the server's log: its chat template, and whether the model's vision part is loaded",
    ),
}


@dataclass(frozen=True)
class Examined:
    """One card and what came back."""

    card: Card
    reply: Reply

    @property
    def given(self) -> str:
        """The answer as one of the card's choices, or its digits; empty if it is neither."""
        text = self.reply.text.lower()
        if not self.card.choices:
            return "".join(re.findall(r"\d", text))
        named = [choice for choice in self.card.choices if re.search(rf"\b{choice}\b", text)]
        return named[0] if len(named) == 1 else ""

    @property
    def is_right(self) -> bool:
        return self.given == self.card.answer

    @property
    def row(self) -> dict[str, str]:
        """Kind of the card, right answer, what was given, and ✓, ✗ or why there was no answer."""
        given = self.given or self.reply.text[:40] or self.reply.error[:60] or "(nothing)"
        mark = "✓" if self.is_right else "✗" if self.reply.text else str(self.reply.state)
        return {"kind": self.card.kind, "right": self.card.answer, "given": given, "state": mark}


@dataclass(frozen=True)
class Verdict:
    """The verdict in one line, what to change, and whether the endpoint is fit for describing."""

    words: str
    change: str = ""
    is_fit: bool = False


def judge(examined: Sequence[Examined]) -> Verdict:
    """The first that fits: fails, only thinks, refuses, is silent, swaps colours, sees, turns pictures, is blind."""
    states = Counter(one.reply.state for one in examined)
    if states[State.ENDPOINT_ERROR] > len(examined) / 2:
        error = next(one.reply.error for one in examined if one.reply.error)
        return Verdict(f"most requests fail: {error}", "check the server's log and --model")
    if sum(CUT_WORDS in one.reply.error for one in examined) > len(examined) / 2:
        return Verdict(
            "the model thinks past the limit, so that no answer comes before it",
            "a much larger --max-tokens, or --thinking off",
        )
    if states[State.REASONING_ONLY] > len(examined) / 2:
        return Verdict(
            "the model only thinks and gives no answer",
            "describe with --thinking off, or a much larger --max-tokens",
        )
    for state, (words, change) in WORDLESS.items():
        if states[state] > len(examined) / 2:
            error = next(one.reply.error for one in examined if one.reply.state is state)
            return Verdict(f"{words}: {error}", change)
    if _has_swapped_colours(examined):
        return Verdict("the endpoint sees, but red and blue are swapped", "mend the server's image decoding (BGR, RGB)")
    if (turn := _turn(examined)) and share_right(examined, "shape") >= SEES:
        return Verdict(
            f"the endpoint sees, but pictures are turned by {turn}° there", "mend the server's image decoding"
        )
    right = {kind: share_right(examined, kind) for kind in ("colour", "shape", "digits", "orientation")}
    if min(right["colour"], right["shape"]) >= SEES and right["digits"] + right["orientation"] >= SEES:
        if any(one.reply.reasoning for one in examined):
            change = "describe with --thinking off"
            return Verdict("the endpoint sees; it thinks first, which costs tokens", change, is_fit=True)
        return Verdict("the endpoint sees the image", is_fit=True)
    if right["colour"] >= SEES:
        return Verdict(
            "the endpoint sees colours but hardly any forms",
            "a larger --image-size or a better model; descriptions will be poor",
        )
    return Verdict(
        "the endpoint does not see the image: its answers are no better than guessing",
        "use a vision model, and for llama.cpp and alike load its projector (mmproj)",
    )


def share_right(examined: Sequence[Examined], kind: str) -> float:
    """Share of right answers among the cards of one kind."""
    answers = [one.is_right for one in examined if one.card.kind == kind]
    return sum(answers) / max(len(answers), 1)


def _turn(examined: Sequence[Examined]) -> int:
    """By how many degrees clockwise all arrows were seen turned; 0 if not all by the same angle."""
    arrows = [one for one in examined if one.card.kind == "orientation"]
    if not all(one.given for one in arrows):
        return 0
    turns = {(DIRECTIONS.index(one.given) - DIRECTIONS.index(one.card.answer)) % 4 for one in arrows}
    return 90 * turns.pop() if len(turns) == 1 else 0


def _has_swapped_colours(examined: Sequence[Examined]) -> bool:
    red_and_blue = [one for one in examined if one.card.kind == "colour" and one.card.answer in SWAPPED]
    swapped = all(one.given == SWAPPED[one.card.answer] for one in red_and_blue)
    return bool(red_and_blue) and swapped and share_right(examined, "shape") >= SEES / 2

"""Counts what a run has done so far."""

from collections import Counter
from dataclasses import dataclass, field

from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.store.states import FAILED, State


@dataclass
class Tally:
    """What a run has done.

    Attributes:
        prices: what tokens cost.
        states: how many descriptions ended in each state.
        kept: descriptions that were there before.
        new: descriptions written for the first time.
        redone: descriptions written again.
        tokens_in: tokens read.
        tokens_out: tokens written.
        seconds: time of all requests together.
        silence: endpoint errors since the last answer.
        notes: further lines for the person who reads.
    """

    prices: Prices = field(default_factory=Prices)
    states: Counter[State] = field(default_factory=Counter)
    kept: int = 0
    new: int = 0
    redone: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    silence: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def finished(self) -> int:
        return self.new + self.redone

    @property
    def failed(self) -> int:
        return sum(self.states[state] for state in FAILED)

    @property
    def usd(self) -> float:
        """Spent so far, as far as prices are known."""
        return self.prices.usd(self.tokens_in, self.tokens_out)

    def note(self, reply: Reply, is_redone: bool) -> None:
        """One description is finished."""
        self.states[reply.state] += 1
        self.redone += is_redone
        self.new += not is_redone
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out
        self.seconds += reply.seconds
        self.silence = self.silence + 1 if reply.state is State.ENDPOINT_ERROR else 0

    def progress_note(self, in_flight: int = 0) -> str:
        """The text behind the progress bar: failures, cost so far, requests in flight."""
        parts = [f"{self.failed} failed" if self.failed else "", f"${self.usd:.2f}" if self.usd else ""]
        parts.append(f"{in_flight} in flight" if in_flight else "")
        return ", ".join(filter(None, parts))

"""Counts what a run has done so far."""

from collections import Counter
from dataclasses import dataclass, field

from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.store.states import FAILED, State

MOST_ERRORS = 1000
"""Different errors that are counted apart; some hold the number of their request."""


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
        guessed: descriptions whose tokens are estimated, wholly or in part: the endpoint did not tell.
        shrunk: descriptions of images that were sent smaller than asked for.
        errors: how often each error occurred, by state.
        models: models that answered and were not asked for.
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
    guessed: int = 0
    shrunk: int = 0
    errors: dict[State, Counter[str]] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def finished(self) -> int:
        return self.new + self.redone

    @property
    def failed(self) -> int:
        return sum(self.states[state] for state in FAILED)

    @property
    def answered(self) -> int:
        """Descriptions for which an endpoint gave an answer, be it a refusal."""
        return self.finished - self.states[State.ENDPOINT_ERROR] - self.states[State.UNREADABLE_IMAGE]

    def worst_error(self, state: State) -> str:
        """The most frequent error of a state, empty if there was none."""
        counted = self.errors.get(state)
        return counted.most_common(1)[0][0] if counted else ""

    @property
    def usd(self) -> float:
        """Spent so far, as far as prices are known."""
        return self.prices.usd(self.tokens_in, self.tokens_out)

    def note_lost(self, tokens_in: int, tokens_out: int) -> None:
        """Attempts of which nothing became have taken these tokens."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def note(self, reply: Reply, is_redone: bool) -> None:
        """One description is finished."""
        self.states[reply.state] += 1
        self.redone += is_redone
        self.new += not is_redone
        self.tokens_in += reply.tokens_in + reply.guessed[0]
        self.tokens_out += reply.tokens_out + reply.guessed[1]
        self.guessed += any(reply.guessed)
        self.shrunk += reply.is_shrunk
        if reply.error:
            counted = self.errors.setdefault(reply.state, Counter())
            if reply.error in counted or len(counted) < MOST_ERRORS:
                counted[reply.error] += 1
        self.seconds += reply.seconds
        self.silence = self.silence + 1 if reply.state is State.ENDPOINT_ERROR else 0

    def progress_note(self, in_flight: int = 0) -> str:
        """The text behind the progress bar: failures, cost so far, requests in flight."""
        parts = [
            f"{self.failed} failed" if self.failed else "",
            f"{'about ' * bool(self.guessed)}${self.usd:.2f}" if self.usd else "",
        ]
        parts.append(f"{in_flight} in flight" if in_flight else "")
        return ", ".join(filter(None, parts))

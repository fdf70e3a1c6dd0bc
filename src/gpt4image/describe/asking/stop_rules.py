"""When a run stops before it is done: budget, deadline, too many failures, an endpoint gone silent."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.store.states import FAILED, State
from gpt4image.errors import SettingsError

FEWEST_JUDGED = 40
"""A share of failures means nothing before so many descriptions are finished."""
LONGEST_SILENCE = 30
"""Endpoint errors one after another, without any answer between them, that stop a run."""


@dataclass(frozen=True)
class MaxFailures:
    """How many failed descriptions a run bears: a number, or a share of those finished."""

    count: float = float("inf")
    share: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "MaxFailures":
        """Reads `5%` or `100`.

        Raises:
            SettingsError: it is neither.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
        if not match or (match[2] and float(match[1]) > 100):
            raise SettingsError(f"--max-failures {text} must be a share such as 5% or a number such as 100")
        return cls(share=float(match[1]) / 100) if match[2] else cls(count=float(match[1]))


@dataclass
class StopRules:
    """Says when a run shall stop, from its tally; the clock of the deadline starts at once.

    Attributes:
        tally: the run's counts.
        first_guess: tokens read and written for one description, before any is finished.
        budget_usd: what the run may cost.
        deadline_s: how long it may last.
        max_failures: how many failures it bears.
        clock: seconds.
    """

    tally: Tally
    first_guess: tuple[float, float]
    budget_usd: float | None = None
    deadline_s: float | None = None
    max_failures: MaxFailures = MaxFailures()
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._start_s = self.clock()

    def reason(self, in_flight: int) -> str:
        """Why no further request shall be sent while `in_flight` are under way; empty if one may be."""
        return self._over_budget(in_flight) or self._over_time() or self._failing()

    def _over_budget(self, in_flight: int) -> str:
        tally = self.tally
        usd_each = tally.usd / tally.finished if tally.finished else tally.prices.usd(*self.first_guess)
        if self.budget_usd is None or tally.usd + (in_flight + 1) * usd_each <= self.budget_usd:
            return ""
        by = ", by an estimate: the endpoint does not tell all tokens" if tally.guessed else ""
        return f"the budget of ${self.budget_usd:g} would be exceeded (--budget-usd){by}"

    def _over_time(self) -> str:
        mean_s = self.tally.seconds / max(self.tally.finished, 1)
        if self.deadline_s is None or self.clock() + mean_s <= self._start_s + self.deadline_s:
            return ""
        return self.deadline_words

    @property
    def deadline_words(self) -> str:
        return f"the deadline of {self.deadline_s:g} s has come (--deadline-s)"

    def _failing(self) -> str:
        tally = self.tally
        too_large_a_share = tally.finished >= FEWEST_JUDGED and tally.failed > self.max_failures.share * tally.finished
        if too_large_a_share or tally.failed > self.max_failures.count:
            worst = max(FAILED, key=lambda state: tally.states[state])
            words = f"{tally.failed} of {tally.finished} descriptions failed, most as {worst} (--max-failures)"
            return words + self._told(worst)
        if tally.silence >= LONGEST_SILENCE:
            words = f"the last {tally.silence} requests ended in endpoint errors; is the endpoint still running?"
            return words + self._told(State.ENDPOINT_ERROR)
        return ""

    def _told(self, state: State) -> str:
        error = self.tally.worst_error(state)
        return f"; the most frequent reason: {error}" if error else ""

"""When a run stops before it is done: budget, deadline, too many failures, an endpoint gone silent."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.store.states import FAILED
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

    def is_exceeded(self, failed: int, finished: int) -> bool:
        too_large_a_share = finished >= FEWEST_JUDGED and failed > self.share * finished
        return failed > self.count or too_large_a_share


class StopRules:
    """Says when a run shall stop, from its tally."""

    def __init__(
        self,
        tally: Tally,
        first_guess: tuple[float, float],
        budget_usd: float | None = None,
        deadline_s: float | None = None,
        max_failures: MaxFailures | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the clock of the deadline.

        Args:
            tally: the run's counts.
            first_guess: tokens read and written for one description, before any is finished.
            budget_usd: what the run may cost.
            deadline_s: how long it may last.
            max_failures: how many failures it bears.
            clock: seconds.
        """
        self._tally, self._first_guess, self._budget_usd = tally, first_guess, budget_usd
        self._max_failures, self._clock = max_failures or MaxFailures(), clock
        self._deadline_s = deadline_s
        self._deadline = None if deadline_s is None else clock() + deadline_s

    def reason(self, in_flight: int) -> str:
        """Why no further request shall be sent while `in_flight` are under way; empty if one may be."""
        return self._over_budget(in_flight) or self._over_time() or self._failing()

    def _over_budget(self, in_flight: int) -> str:
        if self._budget_usd is None or self._tally.usd + (in_flight + 1) * self._usd_each() <= self._budget_usd:
            return ""
        return f"the budget of ${self._budget_usd:g} would be exceeded (--budget-usd)"

    def _usd_each(self) -> float:
        if not self._tally.finished:
            return self._tally.prices.usd(*self._first_guess)
        return self._tally.usd / self._tally.finished

    def _over_time(self) -> str:
        mean_s = self._tally.seconds / max(self._tally.finished, 1)
        if self._deadline is None or self._clock() + mean_s <= self._deadline:
            return ""
        return f"the deadline of {self._deadline_s:g} s has come (--deadline-s)"

    def _failing(self) -> str:
        tally = self._tally
        if self._max_failures.is_exceeded(tally.failed, tally.finished):
            worst = max(FAILED, key=lambda state: tally.states[state])
            return f"{tally.failed} of {tally.finished} descriptions failed, most as {worst} (--max-failures)"
        if tally.silence >= LONGEST_SILENCE:
            return f"the last {tally.silence} requests ended in endpoint errors; is the endpoint still running?"
        return ""

"""Limits a minute: requests and tokens, as the plans of cloud services have them."""

import time
from collections.abc import Callable

BURST_S = 1.0


class MinuteLimit:
    """Spreads amounts evenly over time (the generic cell rate algorithm, ITU-T I.371)."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._clock = clock
        self._free_at = clock()

    def reserve(self, amount: float) -> float:
        """Takes `amount` from the limit; returns how many seconds to wait before using it."""
        now = self._clock()
        wait_s = max(self._free_at - BURST_S - now, 0.0)
        self._free_at = max(self._free_at, now) + amount * self._seconds_each
        return wait_s

    def correct(self, difference: float) -> None:
        """Adds what was used beyond (or, negative, short of) what was reserved."""
        self._free_at += difference * self._seconds_each


class RateLimits:
    """The limits of requests and of tokens a minute; tokens are guessed from what requests took before."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._requests, self._tokens = MinuteLimit(requests_per_minute), MinuteLimit(tokens_per_minute)
        self._guess: float | None = None

    def reserve(self, first_guess: float) -> float:
        """Reserves one request, of `first_guess` tokens as long as none is known; returns the seconds to wait."""
        if self._guess is None:
            self._guess = first_guess
        return max(self._requests.reserve(1), self._tokens.reserve(self._guess))

    def note(self, tokens: int) -> None:
        """One request that was reserved took so many tokens."""
        assert self._guess is not None
        self._tokens.correct(tokens - self._guess)
        self._guess += 0.1 * (tokens - self._guess)

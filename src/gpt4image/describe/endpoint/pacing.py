"""How many requests an endpoint gets at once, which adapts to what it bears, and a minute, as its plan allows."""

import time
from collections.abc import Callable
from dataclasses import dataclass

START, CEILING = 8, 512
SMALLEST_WINDOW = 16
SUFFERING = 0.2
"""Share of failed requests from which on the endpoint counts as overloaded; below, failures are its own affair."""
BACK_OFF = 0.7
FIRST_GROWTH, LATER_GROWTH = 2.0, 1.25
WORTHWHILE = 0.3
"""A step up must bring this share of the throughput it could bring at best."""
HOLD_WINDOWS = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
BURST_S = 1.0
"""Of limits a minute."""


@dataclass
class _Window:
    """Requests that ended since `start`."""

    start: float
    answered: int = 0
    failed: int = 0
    retry_after_s: float = 0.0

    @property
    def size(self) -> int:
        return self.answered + self.failed


class Pace:
    """The limit of requests in flight at one endpoint: climbs while that raises throughput, falls when it suffers.

    Time is cut into windows of as many requests as are in flight, so that a window lasts about one
    latency. After a change one window passes unmeasured: its requests were sent at the old pace.

    Attributes:
        limit: how many requests may be in flight now.
        in_flight: how many are.
        paused_until: no request is sent before that time of `clock`.
        unreached: how often in a row nobody was listening, or the server was still loading.
    """

    def __init__(self, fixed: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = fixed or START
        self.in_flight = 0
        self.paused_until = 0.0
        self.unreached = 0
        self._absent_since_s: float | None = None
        self._ceiling, self._climbs, self._clock = fixed or CEILING, fixed is None, clock
        self._growth = FIRST_GROWTH
        self._best_rate, self._best_limit = 0.0, self.limit
        self._hold = 0
        self._is_settling = False
        self._window = _Window(clock())

    @property
    def has_room(self) -> bool:
        # One request finds out whether an endpoint is there again.
        return self.in_flight < (1 if self.unreached else self.limit) and self._clock() >= self.paused_until

    @property
    def pause_left_s(self) -> float:
        """Seconds until the next request may be sent."""
        return max(self.paused_until - self._clock(), 0.0)

    @property
    def absent_s(self) -> float:
        """For how long the endpoint has not been there; 0 if it is."""
        return 0.0 if self._absent_since_s is None else self._clock() - self._absent_since_s

    def note_answer(self) -> None:
        """A request was answered."""
        self._window.answered += 1
        self.note_present()
        self._close_full_window()

    def note_failure(self, retry_after_s: float | None = None) -> None:
        """A request was refused for now (429), or failed on the endpoint's side."""
        self._window.failed += 1
        self._window.retry_after_s = max(self._window.retry_after_s, retry_after_s or 0.0)
        self._close_full_window()

    def note_present(self) -> None:
        """Somebody is listening, whatever was said."""
        self.unreached, self._absent_since_s = 0, None

    def note_unreached(self) -> None:
        """No connection came about: waits, twice as long each time, until the endpoint answers again."""
        if self._absent_since_s is None:
            self._absent_since_s = self._clock()
        if self._clock() >= self.paused_until:
            self.pause(min(FIRST_PAUSE_S * 2**self.unreached, LONGEST_PAUSE_S))
            self.unreached += 1

    def pause(self, seconds: float) -> None:
        """Sends nothing for a while."""
        self.paused_until = max(self.paused_until, self._clock() + seconds)

    def _close_full_window(self) -> None:
        window = self._window
        if window.size < max(SMALLEST_WINDOW, self.limit):
            return
        self._window = _Window(self._clock())
        if window.failed > SUFFERING * window.size:
            self._fall_back(window)
        elif self._is_settling:
            self._is_settling = False
        elif self._climbs:
            self._climb(window.answered / max(self._window.start - window.start, 1e-9))
        else:
            self.limit = min(self._ceiling, self.limit + max(1, self.limit // 4))

    def _fall_back(self, window: _Window) -> None:
        self.pause(window.retry_after_s)
        self._growth, self._best_rate, self._hold = LATER_GROWTH, 0.0, HOLD_WINDOWS
        self._change_limit(int(self.limit * BACK_OFF))

    def _climb(self, rate: float) -> None:
        """One step of hill climbing on the throughput `rate`."""
        if self._hold > 0:
            self._hold -= 1
            return
        if rate >= self._best_rate * (1 + WORTHWHILE * (self._growth - 1)):
            self._best_rate, self._best_limit = rate, self.limit
            self._change_limit(max(int(self.limit * self._growth), self.limit + 1))
        else:
            self._growth, self._best_rate, self._hold = LATER_GROWTH, 0.0, HOLD_WINDOWS
            self._change_limit(self._best_limit)

    def _change_limit(self, limit: int) -> None:
        self.limit = min(max(limit, 1), self._ceiling)
        self._is_settling = True


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

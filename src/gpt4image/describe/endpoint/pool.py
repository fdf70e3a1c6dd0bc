"""Shares the requests among the endpoints: each goes where there is the most room."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from gpt4image.describe.endpoint.client import Endpoint, open_endpoint
from gpt4image.describe.endpoint.failures import PassingError
from gpt4image.describe.endpoint.keys import choose_keys
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pacing import Pace
from gpt4image.errors import Gpt4ImageError
from gpt4image.progress import say

UNREACHED_ATTEMPTS = 3
FIRST_PROBE = 8
MOST_FIRST_REQUESTS = 8
"""As long as an endpoint has answered nothing: whatever is wrong with it is wrong with all of them."""
MOST_ALIKE, MOST_UNALIKE = 8, 24
FEWEST_JUDGED = 6
"""Failures of which the last has used up a request's retries; fewer may be bad luck."""
MOST_THROTTLED = 40
MOST_FAILED = 8
"""In a row, whatever the pictures: it may be the endpoint that fails."""


class LaneLostError(Exception):
    """The endpoint is closed, or has died for now; the request waits for another place."""


@dataclass(eq=False)
class Lane:
    """One endpoint at its own pace.

    Attributes:
        endpoint: the endpoint.
        pace: how many requests it gets.
        first_failures: how often what went wrong before it answered anything.
        closed: why it is no longer asked.
        refused_in_a_row: requests refused for good since the last answer.
        next_probe: so many of them make it doubtful that it is the pictures.
        failed_in_a_row: attempts that came to nothing since the last answer, without a word on when to come again.
        failing_since_s: when the first attempt since then did, by `time.monotonic`.
        answered_s: when the last request that it has answered was sent.
        is_dead: it has answered before, and does not answer any more, whatever the picture.
    """

    endpoint: Endpoint
    pace: Pace
    first_failures: Counter[str] = field(default_factory=Counter)
    closed: Gpt4ImageError | None = None
    refused_in_a_row: int = 0
    next_probe: int = FIRST_PROBE
    failed_in_a_row: int = 0
    failing_since_s: float | None = None
    answered_s: float = 0.0
    is_dead: bool = False

    @property
    def is_doubted(self) -> bool:
        """Whether it shall show that it is alive before it gets another picture."""
        return self.endpoint.has_answered and self.failed_in_a_row >= MOST_FAILED

    @property
    def silent_s(self) -> float:
        """For how long every attempt has come to nothing."""
        return 0.0 if self.failing_since_s is None else time.monotonic() - self.failing_since_s

    def note_failure(self, is_told: bool) -> None:
        """An attempt came to nothing; `is_told` if the endpoint has said when to come again."""
        self.failing_since_s = self.failing_since_s or time.monotonic()
        self.failed_in_a_row += not is_told

    def doubt(self) -> None:
        """Nobody knows whether it is the picture or the endpoint that fails."""
        self.failed_in_a_row = max(self.failed_in_a_row, MOST_FAILED)

    def note_alive(self, sent_s: float) -> None:
        """It has answered a request that was sent at that time."""
        self.failed_in_a_row, self.failing_since_s, self.is_dead = 0, None, False
        self.answered_s = max(self.answered_s, sent_s)
        self.pace.note_present()

    @property
    def has_room(self) -> bool:
        is_known = self.endpoint.has_answered or self.pace.in_flight < MOST_FIRST_REQUESTS
        return self.closed is None and is_known and self.pace.has_room

    def is_hopeless(self, failure: PassingError, has_retries: bool) -> bool:
        """Notes a failure of an endpoint that has answered nothing, and says whether it is time to stop.

        Args:
            failure: of an attempt.
            has_retries: whether the request would be tried again.
        """
        # Numbers of requests and the like are left out.
        kind = re.sub(r"\w*\d\w*|\W+", " ", str(failure))[:80]
        self.first_failures[kind] += 1
        total = self.first_failures.total()
        if failure.is_throttle:
            return total >= MOST_THROTTLED
        # A server that loads its model answers nothing for a while; that is as long as the retries last.
        is_alike = self.first_failures[kind] >= MOST_ALIKE or total >= MOST_UNALIKE
        return (is_alike and not failure.is_timeout) or (not has_retries and total >= FEWEST_JUDGED)


class Pool:
    """Lanes to several endpoints; whoever waits longest gets the next free place."""

    def __init__(self, options: EndpointOptions) -> None:
        pace = options.share(len(options.urls)).in_flight
        self.lanes = [
            Lane(open_endpoint(url, options, key), Pace(pace))
            for url, key in zip(options.urls, choose_keys(options), strict=True)
        ]
        self._max_wait_s = options.max_wait_s
        self._queue, self._changed, self._ended = asyncio.Lock(), asyncio.Event(), asyncio.Event()
        self._end: Gpt4ImageError | None = None

    @property
    def limit(self) -> int:
        """How many requests may be in flight at all endpoints together."""
        return sum(lane.pace.limit for lane in self.lanes if lane.closed is None)

    @property
    def awaited(self) -> dict[str, int]:
        """How many requests each endpoint has got that may yet be answered; none at one that is not there."""
        there = [
            lane.endpoint
            for lane in self.lanes
            if not lane.is_dead and (lane.endpoint.has_answered or not lane.pace.unreached)
        ]
        return {endpoint.url: number for endpoint in there if (number := endpoint.connection.in_flight)}

    @property
    def has_answered(self) -> bool:
        """Whether any endpoint has answered yet."""
        return any(lane.endpoint.has_answered for lane in self.lanes)

    @property
    def is_unreachable(self) -> bool:
        """Whether nobody has ever answered, and nobody listens anywhere."""
        unreached = min(lane.pace.unreached for lane in self.lanes)
        return unreached >= UNREACHED_ATTEMPTS and not self.has_answered

    @property
    def is_abandoned(self) -> bool:
        """Whether no endpoint has been there for longer than anybody wants to wait."""
        return all(lane.closed or lane.pace.absent_s > self._max_wait_s for lane in self.lanes)

    def close_lane(self, lane: Lane, reason: Gpt4ImageError) -> None:
        """Asks one endpoint no more; the others do its work, and if there is none, all ends."""
        if lane.closed is None:
            lane.closed = reason
            if all(other.closed for other in self.lanes):
                self.end(reason)
            else:
                say(f"{reason}; the other endpoints do its work")
        self._changed.set()

    def end(self, reason: Gpt4ImageError) -> None:
        """Sends nothing more: whoever waits for a place or for the end of a pause gets `reason` raised."""
        self._end = self._end or reason
        self._ended.set()
        self._changed.set()

    @property
    def is_ended(self) -> bool:
        return self._ended.is_set()

    async def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end.

        Raises:
            Gpt4ImageError: the reason of the end.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        self.check_end()

    def check_end(self) -> None:
        """Raises the reason of the end, if it has come."""
        if self._end is not None:
            raise self._end

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Lane]:
        """Waits for a free place and holds it.

        Raises:
            Gpt4ImageError: the reason of the end.
        """
        async with self._queue:
            while (lane := self._freest_lane()) is None:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_left_s()):
                        await self._changed.wait()
            lane.pace.in_flight += 1
        try:
            yield lane
        finally:
            lane.pace.in_flight -= 1
            self._changed.set()

    def _freest_lane(self) -> Lane | None:
        """The lane with most room; one that could not be reached last time only when the others are full."""
        self.check_end()
        free = [lane for lane in self.lanes if lane.has_room]
        return min(
            free, key=lambda lane: (lane.pace.unreached > 0, lane.pace.in_flight / lane.pace.limit), default=None
        )

    def _pause_left_s(self) -> float | None:
        """Until the first lane that pauses goes on; nobody might wake whoever waits for it. None if none pauses."""
        lanes = [lane.pace for lane in self.lanes if lane.closed is None and lane.pace.in_flight < lane.pace.limit]
        return min((left for pace in lanes if (left := pace.pause_left_s) > 0), default=None)

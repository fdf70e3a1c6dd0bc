"""Shares the requests among the endpoints: each goes where there is the most room."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gpt4image.describe.endpoint.client import Endpoint
from gpt4image.describe.endpoint.pacing import Pace

UNREACHED_ATTEMPTS = 3


@dataclass(eq=False)
class Lane:
    """One endpoint at its own pace."""

    endpoint: Endpoint
    pace: Pace


class Pool:
    """Lanes to several endpoints; whoever waits longest gets the next free place."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._waiting: deque[asyncio.Future[Lane]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """How many requests may be in flight at all endpoints together."""
        return sum(lane.pace.limit for lane in self._lanes)

    @property
    def in_flight(self) -> int:
        return sum(lane.pace.in_flight for lane in self._lanes)

    @property
    def has_answered(self) -> bool:
        """Whether any endpoint has answered yet."""
        return any(lane.endpoint.has_answered for lane in self._lanes)

    @property
    def is_unreachable(self) -> bool:
        """Whether nobody has ever answered, and nobody listens anywhere."""
        unreached = min(lane.pace.unreached for lane in self._lanes)
        return unreached >= UNREACHED_ATTEMPTS and not self.has_answered

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Lane]:
        """Waits for a free place and holds it."""
        lane = await self._take()
        try:
            yield lane
        finally:
            lane.pace.in_flight -= 1
            self._hand_out()

    async def _take(self) -> Lane:
        future: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._hand_out()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.result().pace.in_flight -= 1
            raise

    def _hand_out(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            lane = self._freest_lane()
            if lane is None:
                self._wake_after_pause()
                return
            lane.pace.in_flight += 1
            self._waiting.popleft().set_result(lane)

    def _freest_lane(self) -> Lane | None:
        """The lane with most room; one that could not be reached last time only when the others are full."""
        free = [lane for lane in self._lanes if lane.pace.has_room]
        return min(
            free, key=lambda lane: (lane.pace.unreached > 0, lane.pace.in_flight / lane.pace.limit), default=None
        )

    def _wake_after_pause(self) -> None:
        """Looks again when the first pause ends; otherwise nobody might."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        now = loop.time()
        ends = [lane.pace.paused_until for lane in self._lanes if lane.pace.paused_until > now]
        self._timer = loop.call_at(min(ends) + 0.001, self._hand_out) if ends else None

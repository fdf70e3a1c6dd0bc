"""Shares the requests among the endpoints: each goes where there is the most room."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gpt4image.describe.endpoint.client import Endpoint, open_endpoint
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pacing import Pace

UNREACHED_ATTEMPTS = 3


@dataclass(eq=False)
class Lane:
    """One endpoint at its own pace."""

    endpoint: Endpoint
    pace: Pace


class Pool:
    """Lanes to several endpoints; whoever waits longest gets the next free place."""

    def __init__(self, options: EndpointOptions) -> None:
        pace = options.share(len(options.urls)).in_flight
        self.lanes = [Lane(open_endpoint(url, options), Pace(pace)) for url in options.urls]
        self._queue, self._changed = asyncio.Lock(), asyncio.Event()
        self._is_stopped = False

    @property
    def limit(self) -> int:
        """How many requests may be in flight at all endpoints together."""
        return sum(lane.pace.limit for lane in self.lanes)

    @property
    def in_flight(self) -> int:
        return sum(lane.pace.in_flight for lane in self.lanes)

    @property
    def has_answered(self) -> bool:
        """Whether any endpoint has answered yet."""
        return any(lane.endpoint.has_answered for lane in self.lanes)

    @property
    def is_unreachable(self) -> bool:
        """Whether nobody has ever answered, and nobody listens anywhere."""
        unreached = min(lane.pace.unreached for lane in self.lanes)
        return unreached >= UNREACHED_ATTEMPTS and not self.has_answered

    def stop(self) -> None:
        """No further place is given; whoever waits for one is cancelled."""
        self._is_stopped = True
        self._changed.set()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Lane]:
        """Waits for a free place and holds it."""
        async with self._queue:
            while self._is_stopped or (lane := self._freest_lane()) is None:
                if self._is_stopped:
                    raise asyncio.CancelledError
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
        free = [lane for lane in self.lanes if lane.pace.has_room]
        return min(
            free, key=lambda lane: (lane.pace.unreached > 0, lane.pace.in_flight / lane.pace.limit), default=None
        )

    def _pause_left_s(self) -> float | None:
        """Until the first lane with room goes on; nobody might wake whoever waits for it. None if all are full."""
        lanes = [lane.pace for lane in self.lanes if lane.pace.in_flight < lane.pace.limit]
        return min((max(pace.paused_until - time.monotonic(), 0.0) for pace in lanes), default=None)

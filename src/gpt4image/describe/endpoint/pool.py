"""Shares the requests among the endpoints: each goes where there is the most room."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from openai import AsyncOpenAI, DefaultAioHttpClient

from gpt4image.describe.endpoint.client import Endpoint
from gpt4image.describe.endpoint.options import NO_KEY, EndpointOptions
from gpt4image.describe.endpoint.pacing import Pace
from gpt4image.describe.endpoint.privacy import is_nearby

UNREACHED_ATTEMPTS = 3


@dataclass(eq=False)
class Lane:
    """One endpoint at its own pace."""

    endpoint: Endpoint
    pace: Pace


class Pool:
    """Lanes to several endpoints; whoever waits longest gets the next free place."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = lanes
        self._queue, self._changed = asyncio.Lock(), asyncio.Event()

    @classmethod
    async def open(cls, options: EndpointOptions, stack: AsyncExitStack) -> "Pool":
        """A lane to each endpoint; their clients are closed with `stack`."""
        key = os.environ.get(options.api_key_env) or NO_KEY
        pace = options.share(len(options.urls)).in_flight
        lanes = []
        for url in options.urls:
            # No redirects and no proxies: images go to the endpoint that was named and nowhere else.
            http_client = DefaultAioHttpClient(follow_redirects=False, trust_env=not is_nearby(url))
            client = AsyncOpenAI(
                base_url=url, api_key=key, http_client=http_client, max_retries=0, timeout=options.timeout_s
            )
            await stack.enter_async_context(client)
            lanes.append(Lane(Endpoint(url, options.model, client, options.extra), Pace(pace)))
        return cls(lanes)

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

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Lane]:
        """Waits for a free place and holds it."""
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
        free = [lane for lane in self.lanes if lane.pace.has_room]
        return min(
            free, key=lambda lane: (lane.pace.unreached > 0, lane.pace.in_flight / lane.pace.limit), default=None
        )

    def _pause_left_s(self) -> float | None:
        """Until the first pause ends; nobody might wake whoever waits for it."""
        pauses = [left for lane in self.lanes if (left := lane.pace.paused_until - time.monotonic()) > 0]
        return min(pauses, default=None)

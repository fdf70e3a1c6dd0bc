"""Asks until there is an answer or no hope: retries with growing pauses, at the pace each endpoint bears."""

import asyncio
import random
import time
from dataclasses import replace

from PIL import Image

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply, UnusableReplyError, parse_reply
from gpt4image.describe.endpoint.client import PassingError, RefusedRequestError
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pacing import RateLimits
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url
from gpt4image.describe.endpoint.pool import Pool
from gpt4image.describe.store.states import State
from gpt4image.errors import EndpointError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
PATIENCE = 6
"""Being told to slow down, or a server that restarts, says nothing about the request; it may happen so much oftener."""
PROBE_SIZE = 224
GOOD_PICTURE = Image.new("RGB", (PROBE_SIZE, PROBE_SIZE), (200, 60, 40))


class RetryingClient:
    """Turns a question into an answer; only an endpoint that is of no use at all raises."""

    def __init__(self, options: EndpointOptions) -> None:
        self.pool, self._retries = Pool(options), options.retries
        self._limits = RateLimits(options.requests_per_minute, options.tokens_per_minute)
        self._probing = asyncio.Lock()

    async def aclose(self) -> None:
        """Closes the connections to all endpoints."""
        for lane in self.pool.lanes:
            await lane.endpoint.client.close()

    async def answer(self, ask: Ask, data_url: str) -> Reply:
        """Asks until there is an answer or the retries are used up.

        Raises:
            EndpointError: no request will do: wrong key, unknown model, nobody listening.
        """
        start, attempts, failures = time.monotonic(), 0, 0.0
        while True:
            attempts += 1
            try:
                reply = await self._attempt(ask, data_url)
            except RefusedRequestError as error:
                await self._give_up_if_all_is_refused(ask, error)
                reply = Reply(State.ENDPOINT_ERROR, error=str(error))
            except PassingError as error:
                failures += 1 / PATIENCE if error.is_throttle or error.is_connection else 1
                if failures <= self._retries:
                    self._give_up_if_unreached(error)
                    # After a failed connection the whole lane pauses; another one may be free at once.
                    if not error.is_connection:
                        await asyncio.sleep(_pause_s(attempts, error.retry_after_s))
                    continue
                reply = Reply(State.ENDPOINT_ERROR, error=f"{error} (after {attempts} attempts)")
            return replace(reply, attempts=attempts, seconds=time.monotonic() - start)

    async def _attempt(self, ask: Ask, data_url: str) -> Reply:
        async with self.pool.place() as lane:
            if (wait_s := self._limits.reserve(ask.request.max_tokens / 2)) > 0:
                await asyncio.sleep(wait_s)
            try:
                reply = parse_reply(await lane.endpoint.ask(ask, data_url), ask.prompt.is_flattened)
            except UnusableReplyError as error:
                lane.pace.note_failure()
                raise PassingError(str(error)) from error
            except PassingError as error:
                if error.is_connection:
                    lane.pace.note_unreached()
                else:
                    lane.pace.note_failure(error.retry_after_s)
                raise
            lane.pace.note_answer()
            self._limits.note(reply.tokens_in + reply.tokens_out)
            return reply

    async def _give_up_if_all_is_refused(self, ask: Ask, error: RefusedRequestError) -> None:
        """Before anything was answered, tells a bad picture from a bad call: asks the same about a good picture."""
        async with self._probing:
            if self.pool.has_answered:
                return
            try:
                await self._attempt(ask, to_data_url(encode_jpeg(GOOD_PICTURE, PROBE_SIZE)))
            except RefusedRequestError:
                raise EndpointError(
                    f"the endpoint takes no picture at all ({error}); check --model, and that it is a vision model"
                ) from error
            except PassingError:
                return

    def _give_up_if_unreached(self, error: PassingError) -> None:
        if error.is_connection and self.pool.is_unreachable:
            raise EndpointError(f"no endpoint can be reached ({error}); is the server running, is --endpoint its URL?")


def _pause_s(attempts: int, retry_after_s: float | None) -> float:
    """What the endpoint asks for, else twice as long each time; scattered, so that not all come back at once."""
    if retry_after_s is not None:
        return retry_after_s * random.uniform(1.0, 1.1)
    return min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)

"""Asks until there is an answer or no hope: retries with growing pauses, at the pace each endpoint bears."""

import asyncio
import random
import time

from gpt4image.describe.asks import Ask
from gpt4image.describe.endpoint import PassingError, RefusedRequestError
from gpt4image.describe.pool import Lane, Pool
from gpt4image.describe.rate_limit import RateLimits
from gpt4image.describe.record import Answer
from gpt4image.describe.reply import Reply, UnusableReplyError, parse_reply
from gpt4image.describe.states import State
from gpt4image.errors import EndpointError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
THROTTLES_PER_RETRY = 6
"""Being told to slow down says nothing about the request; it may happen so much more often than other failures."""
UNREACHED_ATTEMPTS = 3


class Asker:
    """Turns an ask into an answer; only an endpoint that is of no use at all raises."""

    def __init__(self, pool: Pool, limits: RateLimits, retries: int) -> None:
        self.pool, self._limits, self._retries = pool, limits, retries

    async def answer(self, ask: Ask, words: str, data_url: str, seed: int | None) -> Answer:
        """Asks for one description.

        Raises:
            EndpointError: no request will do: wrong key, unknown model, nobody listening.
        """
        start, attempts, failures = time.monotonic(), 0, 0.0
        while True:
            attempts += 1
            try:
                reply = await self._attempt(ask, words, data_url, seed)
            except RefusedRequestError as error:
                reply = Reply(State.ENDPOINT_ERROR, error=str(error))
            except PassingError as error:
                failures += 1 / THROTTLES_PER_RETRY if error.is_throttle else 1
                if failures <= self._retries:
                    self._give_up_unreached(error, attempts)
                    await asyncio.sleep(_pause_s(attempts, error.retry_after_s))
                    continue
                reply = Reply(State.ENDPOINT_ERROR, error=f"{error} (after {attempts} attempts)")
            return Answer(reply, attempts, time.monotonic() - start)

    async def _attempt(self, ask: Ask, words: str, data_url: str, seed: int | None) -> Reply:
        async with self.pool.place() as lane:
            if (wait_s := self._limits.reserve()) > 0:
                await asyncio.sleep(wait_s)
            try:
                body = await lane.endpoint.ask(words, data_url, ask.prompt, ask.request, seed)
                reply = parse_reply(body, as_json=ask.prompt.schema is not None)
            except UnusableReplyError as error:
                lane.pace.note_failure()
                raise PassingError(str(error)) from error
            except PassingError as error:
                self._slow_down(lane, error)
                raise
            lane.pace.note_answer()
            self._limits.note(reply.tokens_in + reply.tokens_out)
            return reply

    def _slow_down(self, lane: Lane, error: PassingError) -> None:
        lane.pace.note_failure(error.retry_after_s)
        if error.is_connection and lane.endpoint.has_answered is False:
            lane.pace.pause(FIRST_PAUSE_S)

    def _give_up_unreached(self, error: PassingError, attempts: int) -> None:
        if error.is_connection and attempts >= UNREACHED_ATTEMPTS and not self.pool.has_answered:
            raise EndpointError(f"no endpoint can be reached ({error}); is the server running, is --endpoint its URL?")


def _pause_s(attempts: int, retry_after_s: float | None) -> float:
    """What the endpoint asks for, else twice as long each time; scattered, so that not all come back at once."""
    if retry_after_s is not None:
        return retry_after_s * random.uniform(1.0, 1.1)
    return min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)

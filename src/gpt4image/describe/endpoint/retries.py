"""Asks until there is an answer or no hope: retries with growing pauses, at the pace each endpoint bears."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import Image

from gpt4image.describe.asking.advice import advise_setup
from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.endpoint.client import Endpoint
from gpt4image.describe.endpoint.failures import PassingError, RefusedRequestError
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pacing import RateLimits
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url
from gpt4image.describe.endpoint.pool import Lane, Pool
from gpt4image.describe.endpoint.waits import SHORTEST_SAID_S, Waits, tell_hour
from gpt4image.describe.store.states import State
from gpt4image.errors import EndpointError, Gpt4ImageError, UnavailableError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
PATIENCE = 6
"""Being told to slow down says nothing about the request; it may happen so much oftener."""
PROBE_SIZE = 224
GOOD_PICTURE = Image.new("RGB", (PROBE_SIZE, PROBE_SIZE), (200, 60, 40))
T = TypeVar("T")
Send = Callable[[Endpoint], Awaitable[T]]
Shrink = Callable[[], Awaitable[str | None]]
"""Encodes the same image smaller; None if that is not worth it."""
Check = Callable[[Lane, RefusedRequestError], Awaitable[None]]


@dataclass
class Course:
    """How one request has fared.

    Attributes:
        start_s: when it began.
        attempts: how often it was sent.
        failures: how much of its retries is used up.
        tokens_in: read by attempts that came to nothing.
        tokens_out: written by them.
        is_shrunk: it was sent with a smaller image.
        may_shrink: it may yet be sent so.
    """

    start_s: float
    attempts: int = 0
    failures: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    is_shrunk: bool = False
    may_shrink: bool = False

    def note(self, error: PassingError) -> None:
        self.tokens_in += error.tokens[0]
        self.tokens_out += error.tokens[1]
        if not error.is_absent:
            self.failures += 1 / PATIENCE if error.is_throttle else 1

    def finish(self, reply: Reply) -> Reply:
        """The reply with all that it took."""
        return replace(
            reply,
            attempts=self.attempts,
            seconds=time.monotonic() - self.start_s,
            tokens_in=reply.tokens_in + self.tokens_in,
            tokens_out=reply.tokens_out + self.tokens_out,
            is_shrunk=self.is_shrunk,
        )


class LaneLostError(Exception):
    """The endpoint is closed; another one gets the request."""


class RetryingClient:
    """Turns a question into an answer; only endpoints that are of no use at all raise."""

    def __init__(self, options: EndpointOptions) -> None:
        self.pool, self._options = Pool(options), options
        self._limits = RateLimits(options.requests_per_minute, options.tokens_per_minute)
        self._probing, self._waits = asyncio.Lock(), Waits()

    async def aclose(self) -> None:
        """Closes the connections to all endpoints."""
        for lane in self.pool.lanes:
            await lane.endpoint.connection.client.close()

    def end(self, reason: Gpt4ImageError) -> None:
        """Sends nothing more; requests in flight may still be answered."""
        self.pool.end(reason)

    async def answer(self, ask: Ask, data_url: str, shrink: Shrink | None = None) -> Reply:
        """Asks until there is an answer or the retries are used up.

        Args:
            ask: what to ask.
            data_url: the image.
            shrink: makes it smaller, for an endpoint that says it is too large; happens once.

        Raises:
            EndpointError: no request will do: wrong key, unknown model, nobody listening.
        """
        course = Course(time.monotonic(), may_shrink=shrink is not None)
        while True:
            try:
                return course.finish(await self._ask(ask, data_url, course))
            except LaneLostError:
                continue
            except (RefusedRequestError, PassingError) as error:
                if error.needs_smaller and course.may_shrink and shrink is not None:
                    smaller, course.may_shrink = await shrink(), False
                    data_url, course.is_shrunk = smaller or data_url, smaller is not None
                    continue
                if isinstance(error, RefusedRequestError):
                    state = State.REFUSED if error.is_moderated else State.ENDPOINT_ERROR
                    return course.finish(Reply(state, error=str(error)))
                if self.has_used_up(course):
                    words = f"{error} (after {course.attempts} attempts)"
                    return course.finish(Reply(State.ENDPOINT_ERROR, error=words))
                await self.pause_after(error, course)

    async def _ask(self, ask: Ask, data_url: str, course: Course) -> Reply:
        async def check(lane: Lane, error: RefusedRequestError) -> None:
            if not (error.needs_smaller and course.may_shrink):
                await self._check_with_good_picture(lane, ask, error)

        tokens = ask.request.max_tokens / 2
        reply = await self.attempt(lambda endpoint: endpoint.ask(ask, data_url), course, tokens, check)
        self._limits.note(reply.tokens_in + reply.tokens_out)
        return reply

    def has_used_up(self, course: Course) -> bool:
        """Whether a request that has failed again is not worth another attempt, at endpoints that answer others."""
        return course.failures > self._options.retries and self.pool.has_answered

    async def pause_after(self, error: PassingError, course: Course) -> None:
        """Waits before another attempt.

        Raises:
            EndpointError: nobody is there, or not any more.
        """
        self._give_up_if_absent(error)
        # When nobody is there, or asks for a long wait, the whole lane pauses; another one may be free at once.
        if not error.is_absent and (error.retry_after_s or 0.0) <= SHORTEST_SAID_S:
            seconds = choose_pause_s(course.attempts, error.retry_after_s)
            self._waits.note("a request", f"tried again after: {error}", seconds)
            await self.pool.pause(seconds)

    async def attempt(self, send: Send[T], course: Course, tokens: float, check: Check | None = None) -> T:
        """One request to one endpoint.

        Args:
            send: sends it there and reads the answer.
            course: notes how it fares.
            tokens: what it may take, as long as none has been answered.
            check: is called when it is refused for good.

        Raises:
            PassingError: worth another attempt.
            RefusedRequestError: this request will never do.
            LaneLostError: the endpoint is closed; another one, if there is any, may do.
            EndpointError: no endpoint will do.
        """
        course.attempts += 1
        async with self.pool.place() as lane:
            if (wait_s := self._limits.reserve(tokens)) > 0:
                self._waits.note("requests", "--requests-per-minute or --tokens-per-minute is reached", wait_s)
                await self.pool.pause(wait_s)
            try:
                with self._saying_silence(lane):
                    answer = await send(lane.endpoint)
            except RefusedRequestError as error:
                lane.pace.note_present()
                if check is not None:
                    await check(lane, error)
                raise
            except PassingError as error:
                self._note_failure(lane, error, course)
                course.note(error)
                raise
            except EndpointError as error:
                self.pool.close_lane(lane, error)
                raise LaneLostError from error
            lane.pace.note_answer()
            lane.refused_in_a_row = 0
            if lane.endpoint.useless:
                self.pool.close_lane(lane, lane.endpoint.useless)
            return answer

    @contextmanager
    def _saying_silence(self, lane: Lane) -> Iterator[None]:
        """Says so if the very first answer takes long: many servers load their model then."""
        arguments = lane.endpoint.url, "no answer yet, it may be loading its model", self._options.timeout_s
        saying = asyncio.get_running_loop().call_later(SHORTEST_SAID_S, self._waits.note, *arguments)
        if lane.endpoint.has_answered:
            saying.cancel()
        try:
            yield
        finally:
            saying.cancel()

    def _note_failure(self, lane: Lane, error: PassingError, course: Course) -> None:
        """Lets the lane pause, or closes it if there is no hope.

        Raises:
            LaneLostError: it is closed.
        """
        url, seconds = lane.endpoint.url, error.retry_after_s or 0.0
        if error.is_absent:
            lane.pace.note_unreached()
            lane.pace.pause(min(seconds, self._options.max_wait_s))
            self._waits.note(url, str(error), lane.pace.pause_left_s)
            return
        lane.pace.note_present()
        lane.pace.note_failure(error.retry_after_s)
        reason: EndpointError | None = None
        if seconds > self._options.max_wait_s:
            reason = UnavailableError(
                f"{url} answers {error} and asks to wait until {tell_hour(seconds)}, which is longer than "
                f"--max-wait {self._options.max_wait_s:g} s"
            )
        elif not lane.endpoint.has_answered:
            reason = self._give_up_at_first(lane, error, course)
        if reason is not None:
            self.pool.close_lane(lane, reason)
            raise LaneLostError from error
        if seconds > SHORTEST_SAID_S:
            lane.pace.pause(seconds)
            self._waits.note(url, str(error), seconds)

    def _give_up_at_first(self, lane: Lane, error: PassingError, course: Course) -> EndpointError | None:
        """Why an endpoint that has answered nothing shall not be asked again; None as long as there is hope."""
        is_last = course.failures + 1 > self._options.retries
        if not lane.is_hopeless(error, has_retries=not is_last):
            return None
        words = f"{lane.endpoint.url} has answered nothing, and the first requests all failed: {error}"
        if error.is_throttle:
            return UnavailableError(f"{words}; try again later, or with --requests-per-minute")
        advice = "a larger --timeout-s" if error.is_timeout else advise_setup(200, str(error))
        return EndpointError(f"{words}; {advice}")

    async def _check_with_good_picture(self, lane: Lane, ask: Ask, error: RefusedRequestError) -> None:
        """Tells a bad picture from a bad call: asks the same about a good picture, and closes the lane if that fails.

        That is done before anything was answered, and later when many are refused one after another.

        Raises:
            LaneLostError: it is closed.
        """
        lane.refused_in_a_row += 1
        async with self._probing:
            if lane.closed is None and (not lane.endpoint.has_answered or lane.refused_in_a_row >= lane.next_probe):
                self.pool.check_end()
                lane.next_probe = 2 * max(lane.refused_in_a_row, lane.next_probe)
                with suppress(PassingError, EndpointError):
                    try:
                        await lane.endpoint.ask(ask, to_data_url(encode_jpeg(GOOD_PICTURE, PROBE_SIZE)))
                    except RefusedRequestError:
                        advice = self._advise_refused(error)
                        reason = EndpointError(f"the endpoint takes no picture at all ({error}); {advice}")
                        self.pool.close_lane(lane, reason)
            if lane.closed is not None:
                raise LaneLostError from error

    def _advise_refused(self, error: RefusedRequestError) -> str:
        if own := [name for name in self._options.extra if name in str(error)]:
            return f"leave {' and '.join(own)} out of --temperature or --extra-body; else check --model"
        advice = advise_setup(403 if error.is_moderated else 200, str(error))
        return f"{advice}; check --model, and that it is a vision model"

    def _give_up_if_absent(self, error: PassingError) -> None:
        if not error.is_absent:
            return
        if error.is_connection and self.pool.is_unreachable:
            raise EndpointError(f"no endpoint can be reached ({error}); is the server running, is --endpoint its URL?")
        if self.pool.is_abandoned:
            raise UnavailableError(f"{error}, for longer than --max-wait {self._options.max_wait_s:g} s")


def choose_pause_s(attempts: int, retry_after_s: float | None) -> float:
    """What the endpoint asks for, else twice as long each time; scattered, so that not all come back at once."""
    if retry_after_s is not None:
        return retry_after_s * random.uniform(1.0, 1.1)
    return min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)

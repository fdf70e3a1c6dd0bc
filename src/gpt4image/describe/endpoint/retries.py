"""Asks until there is an answer or no hope: retries with growing pauses, at the pace each endpoint bears."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gpt4image.describe.asking.advice import advise_setup
from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.endpoint.client import Endpoint
from gpt4image.describe.endpoint.failures import PassingError, RefusedRequestError
from gpt4image.describe.endpoint.good_picture import FirstPictures, GoodPicture
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pacing import RateLimits
from gpt4image.describe.endpoint.pool import Lane, LaneLostError, Pool
from gpt4image.describe.store.states import State
from gpt4image.errors import EndpointError, Gpt4ImageError, UnavailableError
from gpt4image.progress import SHORTEST_SAID_S, Waits, tell_hour

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
PATIENCE = 6
"""Being told to slow down says nothing about the request; it may happen so much oftener."""
T = TypeVar("T")
Send = Callable[[Endpoint], Awaitable[T]]
Shrink = Callable[[], Awaitable[str | None]]
"""Encodes the same image smaller; None if that is not worth it."""


@dataclass
class Course:
    """How one request has fared.

    Attributes:
        start_s: when it began.
        attempts: how often it was sent.
        failures: how much of its retries is used up.
        failed_s: when it failed last, by `time.monotonic`.
        tokens_in: read by attempts that came to nothing.
        tokens_out: written by them.
        is_shrunk: it was sent with a smaller image.
        may_shrink: it may yet be sent so.
    """

    start_s: float = field(default_factory=time.monotonic)
    attempts: int = 0
    failures: float = 0.0
    failed_s: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    is_shrunk: bool = False
    may_shrink: bool = False

    def note(self, error: PassingError) -> None:
        if not error.is_absent:
            self.failures += 1 / PATIENCE if error.is_throttle else 1
            self.failed_s = time.monotonic()

    def add_tokens(self, tokens: tuple[int, int]) -> None:
        self.tokens_in += tokens[0]
        self.tokens_out += tokens[1]

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


class RetryingClient:
    """Turns a question into an answer; only endpoints that are of no use at all raise.

    Args:
        options: which endpoints, and how they are asked.
        is_known: whether they are known to describe pictures.

    Attributes:
        lost: what questions took that were given up.
    """

    def __init__(self, options: EndpointOptions, is_known: bool = True) -> None:
        self.pool, self._options = Pool(options), options
        self._limits = RateLimits(options.requests_per_minute, options.tokens_per_minute)
        self._good_picture, self.first_pictures = GoodPicture(self.pool, options), FirstPictures(self.pool, is_known)
        self._waits, self.lost = Waits(), Course()

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
        course = Course(may_shrink=shrink is not None)
        try:
            return course.finish(await self._ask_until_settled(ask, data_url, course, shrink))
        except Gpt4ImageError:
            self.lost.add_tokens((course.tokens_in, course.tokens_out))
            raise

    async def _ask_until_settled(self, ask: Ask, data_url: str, course: Course, shrink: Shrink | None) -> Reply:
        while True:
            try:
                return await self._ask(ask, data_url, course)
            except LaneLostError:
                continue
            except (RefusedRequestError, PassingError) as error:
                if error.needs_smaller and course.may_shrink and shrink is not None:
                    smaller, course.may_shrink = await shrink(), False
                    data_url, course.is_shrunk = smaller or data_url, smaller is not None
                    continue
                if isinstance(error, RefusedRequestError) and error.is_moderated:
                    return Reply(State.REFUSED, error=str(error))
                if isinstance(error, PassingError) and not self.has_used_up(course):
                    await self.pause_after(error, course)
                    continue
                words = f"{error} (after {course.attempts} attempts)" if isinstance(error, PassingError) else str(error)
                if ask.old is None:
                    await self.first_pictures.hold(words)
                return Reply(State.ENDPOINT_ERROR, error=words)

    async def _ask(self, ask: Ask, data_url: str, course: Course) -> Reply:
        reply = await self.attempt(lambda to: to.ask(ask, data_url), course, ask.request.max_tokens / 2, ask)
        self.first_pictures.is_over = True
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
        # Else the whole lane pauses; another one may be free at once.
        if not error.is_absent and (error.retry_after_s or 0.0) <= SHORTEST_SAID_S:
            seconds = choose_pause_s(course.attempts, error.retry_after_s)
            self._waits.note("a request", f"tried again after: {error}", seconds)
            await self.pool.pause(seconds)

    async def attempt(self, send: Send[T], course: Course, tokens: float, ask: Ask | None = None) -> T:
        """One request to one endpoint.

        Args:
            send: sends it there and reads the answer.
            course: notes how it fares.
            tokens: what it may take, as long as none has been answered.
            ask: about a good picture, when it is not clear whether the request or the endpoint fails.

        Raises:
            PassingError: worth another attempt.
            RefusedRequestError: this request will never do.
            LaneLostError: this endpoint is of no use now; another one may do, or this one later.
            EndpointError: no endpoint will do.
        """
        async with self.pool.place() as lane:
            await self._keep_to_plan(tokens)
            try:
                if ask is not None and lane.is_doubted:
                    course.add_tokens(await self._good_picture.check_alive(lane, ask))
                course.attempts, sent_s = course.attempts + 1, time.monotonic()
                with self._saying_silence(lane):
                    answer = await send(lane.endpoint)
            except RefusedRequestError as error:
                lane.pace.note_present()
                if ask is not None and not (error.needs_smaller and course.may_shrink):
                    course.add_tokens(await self._good_picture.check_refused(lane, ask, error))
                raise
            except PassingError as error:
                course.add_tokens(error.tokens)
                error.is_dead = lane.is_dead and not error.is_absent
                self._note_failure(lane, error, course)
                self._count_failure(lane, error, course, is_checked=ask is not None)
                raise
            except EndpointError as error:
                self.pool.close_lane(lane, error)
                raise LaneLostError from error
            lane.pace.note_answer()
            lane.note_alive(sent_s)
            lane.refused_in_a_row = 0
            if lane.endpoint.useless:
                self.pool.close_lane(lane, lane.endpoint.useless)
            return answer

    async def _keep_to_plan(self, tokens: float) -> None:
        """Waits until --requests-per-minute and --tokens-per-minute allow another request."""
        if (wait_s := self._limits.reserve(tokens)) > 0:
            self._waits.note("requests", "--requests-per-minute or --tokens-per-minute is reached", wait_s)
            await self.pool.pause(wait_s)

    def _count_failure(self, lane: Lane, error: PassingError, course: Course, is_checked: bool) -> None:
        """Counts a failure as the request's, but leaves it a last retry if nobody was answered since it failed before.

        The endpoint then has to show that it is alive, before that retry at the latest.
        """
        failed_before_s = course.failed_s
        course.note(error)
        if error.is_absent:
            return
        lane.note_failure(is_told=error.is_throttle and error.retry_after_s is not None)
        was_alive = failed_before_s is not None and lane.answered_s > failed_before_s
        if is_checked and not was_alive and self.has_used_up(course):
            course.failures = self._options.retries
            lane.doubt()

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
        elif error.is_throttle and lane.silent_s > self._options.max_wait_s:
            reason = UnavailableError(
                f"{url} answers {error}, and nothing else for longer than --max-wait {self._options.max_wait_s:g} s"
            )
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

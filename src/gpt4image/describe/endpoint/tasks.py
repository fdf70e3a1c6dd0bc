"""Asks for all that is missing: one task an ask, a bounded number of tasks, each answer stored at once.

At Ctrl-C, SIGTERM or a failure that no request escapes nothing more is sent; what is in flight is awaited and stored.
"""

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.endpoint.failures import shorten
from gpt4image.describe.endpoint.pool import MOST_ALIKE
from gpt4image.describe.store.states import State
from gpt4image.errors import Gpt4ImageError, UnavailableError
from gpt4image.progress import say, tell_hour

READY_AHEAD = max(4 * (os.cpu_count() or 1), MOST_ALIKE)
"""Images encoded before their turn, so that no place at an endpoint waits for one, and enough of them can be judged."""
GRACE_S = 25.0
"""Kubernetes kills 30 s after SIGTERM."""
STEP_S, STORING_S = 0.1, 0.5
"""What has been answered is read and stored within this."""
INTERRUPTED = "interrupted"


class Answerer(Protocol):
    """Answers asks, in this process or elsewhere."""

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""

    @property
    def awaited(self) -> Mapping[str, int]:
        """How many are in flight, by endpoint."""

    async def answer(self, ask: Ask) -> Reply:
        """Asks about one image.

        Raises:
            EndpointError: no request will do.
        """

    def end(self, reason: Gpt4ImageError) -> None:
        """Sends nothing more: whoever waits to be sent gets `reason` raised, what is in flight is answered."""

    def close(self) -> None:
        """Ends what works for it."""


async def answer_all(answerer: Answerer, asks: Iterator[Ask], recorder: Recorder) -> str:
    """Asks until all is answered or a rule says stop; at the deadline, requests in flight are given up.

    When the process is told to stop, those in flight are awaited for a while (`Drain`).

    Args:
        answerer: closed at the end.
        asks: what to ask, taken one by one.
        recorder: gets the answers.

    Returns:
        why the run stopped early, or "".

    Raises:
        EndpointError: no request will do, and nothing has been answered.
        sqlite3.Error: the store cannot be written.
    """
    run, reason = _Run(answerer, recorder), ""
    drain = Drain(lambda: run.end(UnavailableError(INTERRUPTED)), answerer)
    try:
        with on_signals(drain):
            async with asyncio.timeout(recorder.rules.deadline_s), asyncio.TaskGroup() as tasks:
                reason = await run.start_tasks(asks, tasks)
    except asyncio.CancelledError:
        if not drain.is_open:
            raise
        return INTERRUPTED
    except TimeoutError:
        return reason or recorder.rules.reason(0) or recorder.rules.deadline_words
    finally:
        answerer.close()
    if run.store_error is not None:
        raise run.store_error
    if run.failure is None:
        return reason
    if isinstance(run.failure, UnavailableError) or recorder.tally.answered:
        return str(run.failure)
    raise run.failure


class _Run:
    """The tasks of one run; the first failure that no request escapes lets the others only finish what is in flight."""

    def __init__(self, answerer: Answerer, recorder: Recorder) -> None:
        self._answerer, self._recorder = answerer, recorder
        self._free, self._running = asyncio.Event(), 0
        self.failure: Gpt4ImageError | None = None
        self.store_error: sqlite3.Error | None = None

    async def start_tasks(self, asks: Iterator[Ask], tasks: asyncio.TaskGroup) -> str:
        """Starts a task for each ask; returns why it stopped before all were started, or ""."""
        try:
            for ask in asks:
                while self._running >= self._answerer.limit + READY_AHEAD and not self.failure:
                    self._free.clear()
                    await self._free.wait()
                if reason := await self._reason_to_stop():
                    return reason
                self._running += 1
                tasks.create_task(self._answer(ask))
        except Gpt4ImageError as error:
            self._fail(error)
        return ""

    async def _reason_to_stop(self) -> str:
        """Why no further request shall be sent; what those in flight cost is awaited if they may not leave enough."""
        while not self.failure and (reason := self._recorder.rules.reason(self._running)):
            if not self._running or self._recorder.rules.reason(0):
                return reason
            self._free.clear()
            await self._free.wait()
        return str(self.failure or "")

    async def _answer(self, ask: Ask) -> None:
        try:
            reply = await self._ask(ask)
            self._recorder.record(ask, reply, sum(self._answerer.awaited.values()))
        except Gpt4ImageError as error:
            self._fail(error)
        except sqlite3.Error as error:
            self.store_error = error
            self._fail(UnavailableError(f"the store cannot be written: {error}"))
        finally:
            self._running -= 1
            self._free.set()

    async def _ask(self, ask: Ask) -> Reply:
        """The answer; what nobody has thought of is this picture's failure, and not the end of all others."""
        try:
            return await self._answerer.answer(ask)
        except Gpt4ImageError:
            raise
        except Exception as error:
            return Reply(State.ENDPOINT_ERROR, error=shorten(f"unexpected {type(error).__name__}: {error}"))

    def end(self, reason: Gpt4ImageError) -> None:
        """Sends nothing more; what is in flight is awaited."""
        if self.failure is None:
            self.failure = reason
            self._answerer.end(reason)
        self._free.set()

    def _fail(self, error: Gpt4ImageError) -> None:
        awaited = self._answerer.awaited
        if self.failure is None and awaited and self._recorder.tally.answered:
            say(f"stops, and waits for {_tell(awaited)}, which are kept")
        self.end(error)


class Drain:
    """Lets the task that made it end by itself when the process is told to stop, and cancels it after a while.

    Attributes:
        is_open: whether it was told so.
    """

    def __init__(self, stop_sending: Callable[[], None], answerer: Answerer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._stop_sending, self._answerer = task, stop_sending, answerer
        self._waiting: asyncio.Task[None] | None = None
        self.is_open = False

    def open(self) -> None:
        """Told once, it waits for the answers in flight; told twice, it does not."""
        if self.is_open:
            self._task.cancel()
            return
        self.is_open = True
        self._stop_sending()
        if awaited := self._answerer.awaited:
            until = f"until {tell_hour(GRACE_S)} at most; Ctrl-C once more stops at once"
            say(f"stopping: waits for {_tell(awaited)}, {until}")
        self._waiting = asyncio.create_task(self._wait())

    def close(self) -> None:
        """Waits no longer."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def _wait(self) -> None:
        """Nobody is waited for who has no request of ours, whatever the tasks are at."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while self._answerer.awaited:
                    await asyncio.sleep(STEP_S)
                await asyncio.sleep(STORING_S)
        self._task.cancel()


def _tell(awaited: Mapping[str, int]) -> str:
    return " and ".join(f"{number} answers of {who}" for who, number in awaited.items())


@contextmanager
def on_signals(drain: Drain) -> Iterator[None]:
    """Ctrl-C, and SIGTERM if the command line has made it the same, open the drain while the block runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    loop = asyncio.get_running_loop()
    for number, handler in before.items():
        if callable(handler):
            loop.add_signal_handler(number, drain.open)
    try:
        yield
    finally:
        drain.close()
        for number, handler in before.items():
            if callable(handler):
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

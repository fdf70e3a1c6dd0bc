"""Asks for all that is missing: one task an ask, a bounded number of tasks, each answer stored at once."""

import asyncio
import os
from collections.abc import Iterator
from typing import Protocol

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.endpoint.drain import INTERRUPTED, Drain, on_signals
from gpt4image.errors import Gpt4ImageError

READY_AHEAD = 4 * (os.cpu_count() or 1)
"""Images encoded before their turn, so that no place at an endpoint waits for one."""


class Answerer(Protocol):
    """Answers asks, in this process or elsewhere."""

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""

    @property
    def in_flight(self) -> int:
        """How many are."""

    async def answer(self, ask: Ask) -> Reply:
        """Asks about one image.

        Raises:
            EndpointError: no request will do.
        """

    def stop(self) -> None:
        """Sends nothing more; what is in flight may still be answered."""

    def close(self) -> None:
        """Ends what works for it."""


async def answer_all(answerer: Answerer, asks: Iterator[Ask], recorder: Recorder) -> str:
    """Asks until all is answered or a rule says stop; at the deadline, requests in flight are given up.

    When the process is told to stop, those in flight are awaited for a while (`drain`).

    Args:
        answerer: closed at the end.
        asks: what to ask, taken one by one.
        recorder: gets the answers.

    Returns:
        why the run stopped early, or "".

    Raises:
        EndpointError: no request will do.
    """
    reason = ""
    drain = Drain(answerer.stop, lambda: answerer.in_flight)
    try:
        with on_signals(drain):
            async with asyncio.timeout(recorder.rules.deadline_s), asyncio.TaskGroup() as tasks:
                reason = await _start_tasks(answerer, asks, recorder, tasks)
    except asyncio.CancelledError:
        if not drain.is_open:
            raise
        return INTERRUPTED
    except TimeoutError:
        return reason or recorder.rules.reason(0) or recorder.rules.deadline_words
    except BaseExceptionGroup as group:
        raise (group.subgroup(Gpt4ImageError) or group).exceptions[0] from group
    finally:
        answerer.close()
    return INTERRUPTED if drain.is_open else reason


async def _start_tasks(answerer: Answerer, asks: Iterator[Ask], recorder: Recorder, tasks: asyncio.TaskGroup) -> str:
    free, running = asyncio.Event(), 0

    async def answer(ask: Ask) -> None:
        recorder.record(ask, await answerer.answer(ask), answerer.in_flight)

    def note_end(task: asyncio.Task[None]) -> None:
        nonlocal running
        running -= 1
        free.set()

    for ask in asks:
        while running >= answerer.limit + READY_AHEAD:
            free.clear()
            await free.wait()
        if reason := recorder.rules.reason(running):
            return reason
        running += 1
        tasks.create_task(answer(ask)).add_done_callback(note_end)
    return ""

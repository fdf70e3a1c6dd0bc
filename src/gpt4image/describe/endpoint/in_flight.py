"""Asks endpoints for all that is missing: one task an ask, a bounded number of tasks, each answer stored at once."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.record import Answer, Recorder
from gpt4image.describe.prompts.places import Places
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

    async def answer(self, ask: Ask, words: str) -> Answer:
        """Asks about one image, the prompt being `words`.

        Raises:
            EndpointError: no request will do.
        """

    def close(self) -> None:
        """Ends what works for it."""


@dataclass
class Run:
    """Everything a run asks with and writes to."""

    answerer: Answerer
    places: Places
    recorder: Recorder

    async def ask_all(self, asks: Iterator[Ask], deadline_s: float | None = None) -> str:
        """Asks until all is answered or a rule says stop.

        Args:
            asks: what to ask, taken one by one.
            deadline_s: after so many seconds, requests in flight are given up.

        Returns:
            why the run stopped early, or "".

        Raises:
            EndpointError: no request will do.
        """
        reason = ""
        try:
            async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as tasks:
                reason = await self._start_tasks(asks, tasks)
        except TimeoutError:
            return (
                reason or self.recorder.rules.reason(0) or f"the deadline of {deadline_s:g} s has come (--deadline-s)"
            )
        except BaseExceptionGroup as group:
            raise _first_of_ours(group) from group
        finally:
            self.answerer.close()
        return reason

    async def _start_tasks(self, asks: Iterator[Ask], tasks: asyncio.TaskGroup) -> str:
        free, running = asyncio.Event(), 0

        def note_end(task: asyncio.Task[None]) -> None:
            nonlocal running
            running -= 1
            free.set()

        for ask in asks:
            while running >= self.answerer.limit + READY_AHEAD:
                free.clear()
                await free.wait()
            if reason := self.recorder.rules.reason(running):
                return reason
            running += 1
            tasks.create_task(self._describe(ask)).add_done_callback(note_end)
        return ""

    async def _describe(self, ask: Ask) -> None:
        answer = await self.answerer.answer(ask, self.places.render(ask.prompt, ask.index))
        self.recorder.record(ask, answer, self.answerer.in_flight)


def _first_of_ours(group: BaseExceptionGroup) -> BaseException:
    ours = group.subgroup(Gpt4ImageError)
    first: BaseException = ours or group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first

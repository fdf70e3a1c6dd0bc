"""Asks endpoints for all that is missing: one task an ask, a bounded number of tasks, each answer stored at once."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass

from gpt4image.describe.asks import Ask
from gpt4image.describe.attempts import Asker
from gpt4image.describe.endpoint import Question
from gpt4image.describe.images_to_send import ImagesToSend
from gpt4image.describe.places import Places
from gpt4image.describe.record import Answer, Recorder
from gpt4image.describe.reply import Reply
from gpt4image.describe.states import State
from gpt4image.errors import Gpt4ImageError, UnreadableImageError

READY_AHEAD = 4 * (os.cpu_count() or 1)
"""Images encoded before their turn, so that no place at an endpoint waits for one."""


@dataclass
class Run:
    """Everything a run asks with and writes to."""

    asker: Asker
    images_to_send: ImagesToSend
    places: Places
    recorder: Recorder
    has_samples: bool = False

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
            self.images_to_send.close()
        return reason

    async def _start_tasks(self, asks: Iterator[Ask], tasks: asyncio.TaskGroup) -> str:
        free, running = asyncio.Event(), 0

        def note_end(task: asyncio.Task[None]) -> None:
            nonlocal running
            running -= 1
            free.set()

        for ask in asks:
            while running >= self.asker.pool.limit + READY_AHEAD:
                free.clear()
                await free.wait()
            if reason := self.recorder.rules.reason(running):
                return reason
            running += 1
            tasks.create_task(self._describe(ask)).add_done_callback(note_end)
        return ""

    async def _describe(self, ask: Ask) -> None:
        try:
            data_url = await self.images_to_send.data_url(ask.index, ask.request.image_size)
        except UnreadableImageError as error:
            answer = Answer(Reply(State.UNREADABLE_IMAGE, error=str(error)), attempts=0, seconds=0.0)
        else:
            words = self.places.render(ask.prompt, ask.index)
            seed = ask.sample if self.has_samples else None
            question = Question(words, data_url, ask.request, seed, ask.prompt.schema)
            answer = await self.asker.answer(question)
        self.recorder.record(ask, answer, self.asker.pool.in_flight)


def _first_of_ours(group: BaseExceptionGroup) -> BaseException:
    ours = group.subgroup(Gpt4ImageError)
    first: BaseException = ours or group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first

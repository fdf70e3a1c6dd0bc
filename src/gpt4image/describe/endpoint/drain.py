"""Ctrl-C and SIGTERM while endpoints are asked: nothing more is sent, what is in flight is awaited and stored."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from gpt4image.progress import say

GRACE_S = 25.0
"""Kubernetes kills 30 s after SIGTERM."""
CHECK_INTERVAL_S = 0.05
INTERRUPTED = "interrupted"


class Drain:
    """Cancels the task that made it once nothing is in flight any more, when the process is told to stop.

    Attributes:
        is_open: whether it was told so.
    """

    def __init__(self, stop_sending: Callable[[], None], num_in_flight: Callable[[], int]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._stop_sending, self._num_in_flight = task, stop_sending, num_in_flight
        self._waiting: asyncio.Task[None] | None = None
        self.is_open = False

    def open(self) -> None:
        """Told once, it waits for the answers in flight; told twice, it does not."""
        if self.is_open:
            self._task.cancel()
            return
        self.is_open = True
        self._stop_sending()
        if number := self._num_in_flight():
            say(f"stopping: waiting at most {GRACE_S:g} s for {number} answers in flight; once more to stop at once")
        self._waiting = asyncio.create_task(self._wait())

    def close(self) -> None:
        """Waits no longer."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while self._num_in_flight():
                    await asyncio.sleep(CHECK_INTERVAL_S)
        self._task.cancel()


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

"""Says every long wait once: who waits, why, until when."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from gpt4image.progress import say

SHORTEST_SAID_S = 5.0


def tell_hour(seconds: float) -> str:
    """The hour in so many seconds, in local time, with the day if that is another one."""
    now = datetime.now().astimezone()
    then = now + timedelta(seconds=seconds)
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M")


class Waits:
    """What was said, so that a hundred requests that wait for the same do not say so a hundred times."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_until: dict[str, float] = {}

    def note(self, who: str, why: str, seconds: float) -> None:
        """`who` waits for some seconds; it is said if they are more than five and reach beyond what was said."""
        now = self._clock()
        if seconds > SHORTEST_SAID_S and now + seconds > self._said_until.get(who, now) + SHORTEST_SAID_S:
            self._said_until[who] = now + seconds
            say(f"{who}: {why}; waits until {tell_hour(seconds)}")

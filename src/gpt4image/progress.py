"""Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere; long waits, each said once."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from gpt4image.shown import printable_line, silence_pillow

console = Console(stderr=True)
LOG_INTERVAL_S = 15.0
SHORTEST_SAID_S = 5.0
"""Of waits."""
_silent = False


def silence() -> None:
    """Shows no progress, nor warnings of Pillow, in this process from now on."""
    global _silent
    _silent = True
    silence_pillow()


class _RateColumn(ProgressColumn):
    """Finished items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _format_rate(speed), style="cyan")


def _format_rate(per_s: float) -> str:
    return f"{per_s:.1f}/s" if per_s >= 0.5 or per_s <= 0 else f"{1 / per_s:.0f} s each"


class Tracker:
    """Counts finished items; `note` is a short text shown behind the bar."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.done, self.note = printable_line(label), total, 0, ""
        self._start_s = self._last_log_s = time.monotonic()
        self._bar: Progress | None = None
        self._logged = -1

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Adds `count` finished items."""
        self.done += count
        self.note = self.note if note is None else printable_line(note)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=count, note=self.note)
        elif time.monotonic() - self._last_log_s >= LOG_INTERVAL_S:
            self.log()

    def log(self) -> None:
        """Prints where the work stands."""
        if _silent or self.done == self._logged:
            return
        self._logged = self.done
        self._last_log_s = time.monotonic()
        rate = self.done / max(self._last_log_s - self._start_s, 1e-9)
        left_s = max(self.total - self.done, 0) / rate if rate > 0 else float("inf")
        print(
            f"{self.label}: {self.done}/{self.total}, {_format_rate(rate)}, {left_s:.0f} s left {self.note}".rstrip(),
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def track(label: str, total: int) -> Iterator[Tracker]:
    """Shows progress of `total` items under `label` while the block runs."""
    tracker = Tracker(label, total)
    if _silent or not console.is_terminal:
        yield tracker
        tracker.log()
        return
    # Names of folders and models may look like rich's markup.
    label_column, note_column = (
        TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[note]}")
    )
    columns = (label_column, BarColumn(), MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn(), note_column)
    with Progress(*columns, console=console) as bar:
        bar.add_task(tracker.label, total=total, note="")
        tracker._bar = bar
        yield tracker


def say(text: str) -> None:
    """Prints one line for the person who watches, on stderr."""
    if not _silent:
        console.print(printable_line(text), highlight=False, markup=False, soft_wrap=True)


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

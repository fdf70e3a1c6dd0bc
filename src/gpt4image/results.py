"""What a stage returns: counts and paths as a dataclass, an exit status, and how to show it."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any


class ExitStatus(IntEnum):
    """Exit status of every command."""

    DONE = 0
    MISTAKE = 2
    """The user's mistake; nothing was done."""
    PARTLY = 3
    """Done, but some items failed; they are recorded and listed."""
    STOPPED = 4
    """Stopped at a budget, limit of failures or deadline; the same command goes on from there."""


@dataclasses.dataclass(frozen=True)
class StageResult:
    """Base class of the stages' results."""

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        """Yields what the terminal shows: strings or rich renderables."""
        yield from (f"{field.name}: {getattr(self, field.name)}" for field in dataclasses.fields(self))

    def to_json(self) -> str:
        """One JSON object, on one line."""
        return json.dumps(dataclasses.asdict(self), default=str, ensure_ascii=False)


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]], **style: Any) -> Any:
    """A table for `lines`, without frame unless the style, as of `rich.table.Table`, says otherwise."""
    from rich.table import Table

    table = Table(*columns, **{"box": None, "header_style": "bold"} | style)
    for row in rows:
        table.add_row(*row)
    return table

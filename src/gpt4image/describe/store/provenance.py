"""Where the descriptions of a store come from and what they took, prompt by prompt."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gpt4image.describe.store.store import FILE_NAME

QUERY = """
SELECT prompt, describer, state, COUNT(*), SUM(tokens_in), SUM(tokens_out), SUM(attempts), SUM(seconds),
    SUM(author != 'describer'), MIN(created), MAX(created)
FROM descriptions GROUP BY prompt, describer, state ORDER BY prompt, describer
"""


@dataclass
class Provenance:
    """The descriptions of one prompt by one describer.

    Attributes:
        prompt: its name.
        describer: who wrote them.
        wording: the prompt's words, empty if they are not known (replayed texts).
        states: how many are in each state.
        tokens_in: tokens read, over all attempts.
        tokens_out: tokens written, thinking included.
        attempts: requests made.
        seconds: of all requests, one after another.
        num_changed: how many a person or lint has changed.
        first: when the first was written, UTC.
        last: when the last was written, UTC.
    """

    prompt: str
    describer: str
    wording: str
    states: dict[str, int]
    tokens_in: int = 0
    tokens_out: int = 0
    attempts: int = 0
    seconds: float = 0.0
    num_changed: int = 0
    first: str = ""
    last: str = ""

    @property
    def num_asked(self) -> int:
        """Descriptions that were asked for."""
        return sum(self.states.values())


def read_provenance(work: Path, prompts: Collection[str], describers: Collection[str]) -> list[Provenance]:
    """Sums up a store; empty if it is gone.

    Args:
        work: folder of the store.
        prompts: names of the prompts wanted.
        describers: names of the describers wanted.
    """
    if not (work / FILE_NAME).is_file():
        return []
    with closing(sqlite3.connect(work / FILE_NAME, timeout=60)) as connection:
        wordings = dict(connection.execute("SELECT name, identity FROM prompts"))
        rows = connection.execute(QUERY).fetchall()
    found: dict[tuple[str, str], Provenance] = {}
    for prompt, describer, state, number, *sums, first, last in rows:
        if prompt not in prompts or describer not in describers:
            continue
        name = (prompt, describer)
        one = found.setdefault(name, Provenance(*name, wordings.get(prompt, ""), {}, first=first))
        one.states[state] = number
        one.tokens_in, one.tokens_out = one.tokens_in + sums[0], one.tokens_out + sums[1]
        one.attempts, one.seconds = one.attempts + sums[2], one.seconds + sums[3]
        one.num_changed += sums[4]
        one.first, one.last = min(one.first, first), max(one.last, last)
    return list(found.values())

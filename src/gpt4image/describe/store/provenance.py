"""Where the descriptions of a store come from and what they took, prompt by prompt."""

import json
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gpt4image.describe.store.connect import FILE_NAME, open_file

QUERY = """
SELECT prompt, describer, json_group_object(state, number), SUM(tokens_in), SUM(tokens_out), SUM(attempts),
    SUM(seconds), SUM(num_changed), MIN(first), MAX(last)
FROM (
    SELECT prompt, describer, state, COUNT(*) AS number, SUM(tokens_in) AS tokens_in, SUM(tokens_out) AS tokens_out,
        SUM(attempts) AS attempts, SUM(seconds) AS seconds, SUM(author != 'describer') AS num_changed,
        MIN(created) AS first, MAX(created) AS last
    FROM descriptions GROUP BY prompt, describer, state
) GROUP BY prompt, describer ORDER BY prompt, describer
"""


@dataclass(frozen=True)
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
        models: models that answered, as the endpoint said, in the place of the one asked for.
    """

    prompt: str
    describer: str
    wording: str
    states: dict[str, int]
    tokens_in: int
    tokens_out: int
    attempts: int
    seconds: float
    num_changed: int
    first: str
    last: str
    models: tuple[str, ...] = ()

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
    with closing(open_file(work / FILE_NAME)) as connection:
        wordings = dict(connection.execute("SELECT name, identity FROM prompts"))
        rows = connection.execute(QUERY).fetchall()
        models: dict[str, tuple[str, ...]] = {}
        # The table is there once a model has answered that was not asked for.
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'answering_models'").fetchone():
            for describer, model in connection.execute("SELECT describer, model FROM answering_models ORDER BY 1, 2"):
                models[describer] = (*models.get(describer, ()), model)
    return [
        Provenance(prompt, describer, wordings.get(prompt, ""), json.loads(states), *[*sums, models.get(describer, ())])
        for prompt, describer, states, *sums in rows
        if prompt in prompts and describer in describers
    ]

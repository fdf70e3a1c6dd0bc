"""State and cause together decide what to do, in the documentation as in the code."""

import re
from pathlib import Path

import pytest

from gpt4image.describe.asking.advice import ADVICE, advise
from gpt4image.describe.store.states import REPAIRS, State

PAGE = Path(__file__).parents[3] / "docs/describing.md"


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (State.TRUNCATED, "cut at max_tokens", "raise --max-tokens"),
        (State.TRUNCATED, "cut at 100,000 characters: no description is that long", "another --model or --prompt"),
        (State.REASONING_ONLY, "thinking, but no answer before max_tokens", "raise --max-tokens, which redoes these"),
        (State.REASONING_ONLY, "thinking, but no answer", "--answer-from reasoning"),
        (State.EMPTY, "no word in the answer", "a smaller image"),
        (State.EMPTY, "the answer is not the JSON asked for", "no --schema"),
        (State.REFUSED, "the answer declines to describe", "another --prompt"),
        (State.REFUSED, "status 403: flagged", "another endpoint"),
        (State.ENDPOINT_ERROR, "status 413: too much", "a smaller --image-size"),
        (State.ENDPOINT_ERROR, "status 400: The picture is too big for us", "a smaller --image-size"),
        (State.ENDPOINT_ERROR, "status 400: image of 7.5 MB exceeds 5 MB", "a smaller --image-size"),
        (State.ENDPOINT_ERROR, "no answer within 180 s (after 6 attempts)", "a larger --timeout-s"),
        (State.ENDPOINT_ERROR, "status 429: slow down (after 31 attempts)", "--requests-per-minute"),
        (State.ENDPOINT_ERROR, "status 500: oops (after 6 attempts)", "the server's log"),
        (State.ENDPOINT_ERROR, "something else", REPAIRS[State.ENDPOINT_ERROR]),
        (State.OK, "", ""),
    ],
)
def test_what_to_do(state: State, error: str, words: str) -> None:
    assert words in advise(state, error)


def test_every_pattern_can_be_found_and_none_hides_behind_another() -> None:
    for row in ADVICE:
        assert re.compile(row.pattern)
        assert row.state in REPAIRS


def test_the_documentation_has_the_table_of_the_code() -> None:
    """Rows of a state stand together, in the order of the states, and what goes for any other cause comes last."""
    rows = ["| state | cause | what to do |", "|---|---|---|"]
    for state in State:
        rows += [f"| `{state}` | {row.cause} | {row.advice} |" for row in ADVICE if row.state is state]
        if state in REPAIRS:
            rows.append(f"| `{state}` | any other | {REPAIRS[state]} |")
    table = "\n".join(rows) + "\n"
    assert table in PAGE.read_text(encoding="utf-8"), f"the page should have this table:\n{table}"

"""The texts in a row of somebody's file: one, several, or none."""

import ast
import json
from typing import Any

from gpt4image.describe.prompts.pick_names import is_answer
from gpt4image.describe.replay.rows import Row
from gpt4image.errors import DescriptionError

NO_TEXT = ("", "nan", "<na>", "null", "n/a", "#n/a")
"""Cells that tables have where there is no text, in lower case."""
LONGEST_SHOWN = 80


def read_texts(row: Row, name: str) -> list[str]:
    """The texts in a column: each text of a list is one, also of a list that was written into a cell of a CSV.

    Raises:
        DescriptionError: the cell holds something else, or half a character; the message says where.
    """
    value = row.get(name)
    values = value if isinstance(value, list | tuple) else _read_list(value) if isinstance(value, str) else [value]
    texts = [str(one).strip() for one in values if one is not None]
    for one in values:
        if isinstance(one, dict | list | tuple | bytes):
            raise DescriptionError(
                f"{row.place} holds {show_value(one)} in {name!r}; a description is a text or a list of texts"
            )
    # A pick may be of a class that is called none.
    missing = NO_TEXT[:2] if is_answer(name) else NO_TEXT
    return [check_characters(row, name, text) for text in texts if text.lower() not in missing]


def check_characters(row: Row, name: str, text: str) -> str:
    """The text, if every character of it is whole.

    Raises:
        DescriptionError: half a character, as JSON may have it, stands in it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        broken = f"\\u{ord(text[error.start]):04x}"
        raise DescriptionError(
            f"{row.place} holds half a character ({broken}) in {name!r}; mend or remove it"
        ) from error
    return text


def _read_list(text: str) -> list[Any]:
    """The texts of a list as JSON or Python write it, or the text itself."""
    text = text.strip()
    if not (text.startswith(("['", '["')) and text.endswith(("']", '"]'))):
        return [text]
    for read in (json.loads, ast.literal_eval):
        try:
            values = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return values
    return [text]


def show_value(value: Any) -> str:
    """A value for a message: no bytes, and not too much."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict):
        return f"an object with {', '.join(map(str, value))}"[:LONGEST_SHOWN]
    return str(value) if len(str(value)) <= LONGEST_SHOWN else f"{str(value)[:LONGEST_SHOWN]}…"

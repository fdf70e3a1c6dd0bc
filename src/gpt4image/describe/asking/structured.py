"""Takes an answer with fields apart: the description, and beside it rows for the other fields."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from json import JSONDecoder
from typing import Any

from gpt4image.describe.asking.refusals import DECLINED, NO_JSON, judge_text
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.prompts.fields import fields_of, name_field
from gpt4image.describe.store.rows import Description
from gpt4image.describe.store.states import State

FENCE = re.compile(r"^\s*(?:```\w*\s*)?\{")
"""How an answer begins that was meant to be JSON, whatever became of it."""


def read_fields(reply: Reply, fields: Sequence[str]) -> tuple[Reply, dict[str, str]]:
    """Takes a reply apart.

    An endpoint that knows no schemas answers in words: JSON is then found between fences or within prose, and prose
    alone is the description.

    Args:
        reply: its text is the answer as it came.
        fields: of the prompt, the description first; () leaves the reply as it is.

    Returns:
        the reply with the description as its text, and the other fields that were filled in. There are none beside a
        description that is not `ok`.
    """
    if not fields or reply.state is not State.OK:
        return reply, {}
    found = _find_object(reply.text, fields)
    if found is None:
        return (replace(reply, state=State.EMPTY, error=NO_JSON) if FENCE.match(reply.text) else reply), {}
    values = {name: text for name in fields if (text := _to_text(name, found.get(name)))}
    description = values.pop(fields[0], "")
    state = judge_text(description)
    if state is not State.OK:
        error = "no description in the answer" if state is State.EMPTY else DECLINED
        return replace(reply, state=state, error=error), {}
    return replace(reply, text=description), values


def to_rows(main: Description, values: Mapping[str, str]) -> list[Description]:
    """The row of a description and one for each field beside it; the request is counted once, on the first."""
    shared: dict[str, Any] = {"attempts": 0, "max_tokens": main.max_tokens, "created": main.created}
    names = {name_field(main.prompt, field): text for field, text in values.items()}
    return [main, *(Description(*main.name._replace(prompt=name), text=text, **shared) for name, text in names.items())]


def missing_fields(rows: Sequence[Description]) -> list[str]:
    """Prompt names of the fields that an answer, given as its rows, does not have."""
    main, *others = rows
    held = {row.prompt for row in others}
    return [name for field in fields_of(main.prompt)[1:] if (name := name_field(main.prompt, field)) not in held]


def _find_object(text: str, fields: Sequence[str]) -> dict[str, Any] | None:
    """The first JSON object in a text that has one of the fields; names of fields count in any case."""
    decoder = JSONDecoder(strict=False)  # Line breaks within strings are common.
    for match in re.finditer(r"\{", text):
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except ValueError:
            continue
        named = {str(name).strip().casefold(): held for name, held in value.items()}
        if named.keys() & set(fields):
            return named
    return None


def _to_text(field: str, value: Any) -> str:
    """A field as it is stored; a whole number of per cent says so, for 1 might also mean certainty."""
    if isinstance(value, bool) or value is None:
        return ""
    if field == "confidence" and isinstance(value, int):
        return f"{value} %"
    if isinstance(value, list):
        return ", ".join(str(one).strip() for one in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value).strip()

"""Reads JSON as models write it: in fences, amid prose, with trailing commas and single quotes; and bodies."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import json_repair

KEPT_ALIVE = re.compile(r"\A\ufeff?(?::[^\n]*\n|\s)*")
"""Before a body: a byte order mark, blanks, and comments of server-sent events."""


def read_json(text: str) -> Any:
    """The JSON in a text: an object, a list, or a list of several that stood one after another; None if there is none.

    What is right is read as it is; only what is not is repaired.
    """
    found = list(_read_whole(text))
    if not found and (start := text.find("{")) >= 0:
        # Prose with a brace in it is no object.
        with suppress(ValueError, RecursionError):
            repaired = json_repair.loads(text[start:])
            values = repaired if isinstance(repaired, list) else [repaired]
            found = [value for value in values if value and isinstance(value, dict)]
    different = [value for number, value in enumerate(found) if value not in found[:number]]
    return different[0] if len(different) == 1 else different or None


def load_body(body: str | bytes) -> Any:
    """The JSON that a body is, or the error or the whole answer among server-sent events.

    What keeps the connection alive may stand before it, line ends within texts, and half a character anywhere.

    Raises:
        ValueError: it is neither.
        RecursionError: it is nested too deeply.
    """
    text = body if isinstance(body, str) else body.decode(json.detect_encoding(body), "replace")
    text = KEPT_ALIVE.sub("", text)
    try:
        return json.loads(text, strict=False)
    except ValueError:
        for line in re.findall(r"^data:\s*(\{.*\})\s*$", text, re.MULTILINE):
            with suppress(ValueError, RecursionError):
                event = json.loads(line)
                if event.get("error") or '"message"' in json.dumps(event.get("choices")):
                    return event
        raise


def _read_whole(text: str) -> Iterator[Any]:
    """The objects and lists that are right as they stand."""
    decoder, position = json.JSONDecoder(strict=False), 0
    while (start := min((at for at in (text.find(mark, position) for mark in "{[") if at >= 0), default=-1)) >= 0:
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        if value and (isinstance(value, dict) or any(isinstance(item, dict | str) for item in value)):
            yield value


def phrases(value: Any) -> Iterator[str]:
    """The values of a JSON answer in order, each with the name of the field that holds it."""
    if isinstance(value, dict):
        for name, held in value.items():
            words = ", ".join(_leaves(held))
            if words:
                yield f"{name.replace('_', ' ')}: {words}"
    elif isinstance(value, list):
        for held in value:
            yield from phrases(held)
    else:
        yield from _leaves(value)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for held in value.values():
            yield from _leaves(held)
    elif isinstance(value, list):
        for held in value:
            yield from _leaves(held)
    elif value is True:
        yield "yes"
    elif value is not None and value is not False and str(value).strip():
        yield str(value).strip()

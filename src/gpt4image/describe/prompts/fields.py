"""Structured answers: one request, several fields, each of which is stored under a prompt name of its own."""

from collections.abc import Iterable, Sequence
from typing import Any

from gpt4image.describe.prompts.presets import FIELDS

NONE_OF_THEM = "none"
"""What a describer says of an image that is of no class of the list."""


def fields_of(prompt: str) -> tuple[str, ...]:
    """The fields of the answers to a prompt of this name, the description first; () where an answer is one text."""
    base, _, version = prompt.rpartition("@")
    return FIELDS.get(base, ()) if version.isdigit() else ()


def name_field(prompt: str, field: str) -> str:
    """The prompt name under which a field is stored: `describe_and_pick.class@1`."""
    base, _, version = prompt.rpartition("@")
    return f"{base}.{field}@{version}"


def name_fields(prompt: str) -> list[str]:
    """The names under which all fields but the description are stored."""
    return [name_field(prompt, field) for field in fields_of(prompt)[1:]]


def main_prompt(name: str) -> str:
    """The prompt whose answer a stored row is a field of; the name itself if it is none."""
    base, _, version = name.rpartition("@")
    main = f"{base.rpartition('.')[0]}@{version}"
    return main if name in name_fields(main) else name


def make_schema(fields: Sequence[str], names: Iterable[str] = ()) -> dict[str, Any]:
    """JSON schema of the answers.

    Args:
        fields: all are required.
        names: of the classes, if the answer is to be one of them. They come in one order for all images: endpoints
            compile a schema once and keep it.
    """
    listed = list(dict.fromkeys([*names, NONE_OF_THEM]))
    choice: dict[str, Any] = {"type": "string", "enum": listed} if len(listed) > 1 else {"type": "string"}
    types = {"class": choice, "second": choice, "confidence": {"type": "integer"}}
    properties = {field: types.get(field, {"type": "string"}) for field in fields}
    return {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}

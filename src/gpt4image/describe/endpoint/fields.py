"""The fields of a chat request, in the dialect of the endpoint that gets it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from gpt4image.describe.asking.missing import Ask, Thinking

FORMAT = "response_format"
LIMITS = ("max_tokens", "max_completion_tokens")


class SchemaForm(IntEnum):
    """How an endpoint is told the JSON schema of the answer; the first that it takes is used."""

    JSON_SCHEMA = 0
    JSON_OBJECT = 1
    """Any JSON object; the schema stands in the prompt."""
    PROMPT_ONLY = 2


@dataclass(frozen=True)
class Dialect:
    """What an endpoint was found to want.

    Attributes:
        left_out: optional fields it does not know.
        limit: its field for the limit of the answer's length.
        schema_form: how it is told the schema.
    """

    left_out: frozenset[str] = frozenset()
    limit: str = LIMITS[0]
    schema_form: SchemaForm = SchemaForm.JSON_SCHEMA

    def joined(self, other: "Dialect") -> "Dialect":
        """What both have found."""
        return Dialect(
            self.left_out | other.left_out,
            max(self.limit, other.limit, key=LIMITS.index),
            max(self.schema_form, other.schema_form),
        )

    @property
    def unknown_fields(self) -> frozenset[str]:
        """Fields that the endpoint does not know."""
        names = {LIMITS[0]} if self.limit == LIMITS[1] else set()
        names |= {FORMAT} if self.schema_form is not SchemaForm.JSON_SCHEMA else set()
        return self.left_out | names


def make_messages(words: str, data_url: str) -> Any:
    """The messages of a chat request about one image."""
    image = {"type": "image_url", "image_url": {"url": data_url}}
    return [{"role": "user", "content": [image, {"type": "text", "text": words}]}]


def make_words(ask: Ask, dialect: Dialect) -> str:
    """The prompt, with the schema in it where the endpoint takes it in no other way."""
    if ask.prompt.schema is None or dialect.schema_form is SchemaForm.JSON_SCHEMA:
        return ask.words
    schema = json.dumps(ask.prompt.schema, ensure_ascii=False)
    return f"{ask.words}\n\nAnswer with one JSON object that follows this JSON schema, and nothing else:\n{schema}"


def optional_fields(ask: Ask, extra: Mapping[str, Any], dialect: Dialect = Dialect()) -> dict[str, Any]:
    """The fields of a chat request beside model and messages.

    Args:
        ask: what to ask.
        extra: fields of the user's own; null leaves a field out.
        dialect: what the endpoint wants.
    """
    fields: dict[str, Any] = {dialect.limit: ask.request.max_tokens}
    if ask.seed is not None:
        fields["seed"] = ask.seed
    if template := ask.request.thinking.template_fields:
        fields["chat_template_kwargs"] = template
    if ask.request.thinking is Thinking.OFF:
        fields["reasoning_effort"] = "none"
    if ask.prompt.schema is not None and dialect.schema_form is not SchemaForm.PROMPT_ONLY:
        named = {"name": "description", "schema": ask.prompt.schema, "strict": True}
        whole = {"type": "json_schema", "json_schema": named}
        fields[FORMAT] = {"type": "json_object"} if dialect.schema_form is SchemaForm.JSON_OBJECT else whole
    if set(LIMITS) & extra.keys():
        fields.pop(dialect.limit)
    known = {name: value for name, value in fields.items() if name not in dialect.left_out}
    return {name: value for name, value in (known | dict(extra)).items() if value is not None}


def without_named(dialect: Dialect, words: str, sent: Mapping[str, Any], extra: Mapping[str, Any]) -> Dialect | None:
    """The dialect without the optional fields that an error names.

    A limit is never left out: `max_completion_tokens` takes the place of `max_tokens`.

    Args:
        dialect: in which the request was sent.
        words: of the error.
        sent: the request's optional fields.
        extra: fields of the user's own, which are never left out.

    Returns:
        None if the error names no field that could be left out.
    """
    named = {name for name in sent if name not in extra and re.search(rf"\b{re.escape(name)}\b", words)}
    other = replace(dialect, left_out=dialect.left_out | (named - {FORMAT, *LIMITS}))
    if FORMAT in named or (FORMAT in sent and FORMAT not in extra and re.search("schema|json_object", words)):
        other = replace(other, schema_form=SchemaForm(dialect.schema_form + 1))
    if LIMITS[0] in named:
        other = replace(other, limit=LIMITS[1])
    return other if other != dialect else None

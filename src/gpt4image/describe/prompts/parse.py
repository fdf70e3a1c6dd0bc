"""Prompts: versioned presets, the user's own words, and the places in them that an image fills."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import Any

from gpt4image.describe.prompts.fields import fields_of
from gpt4image.describe.prompts.presets import PRESETS
from gpt4image.errors import SettingsError

OWN_NAME = re.compile(r"^([a-z][a-z0-9_-]{0,31})=(.+)$", re.DOTALL)
PRESET_NAME = re.compile(r"^[a-z][a-z0-9_-]*(@\d+)?$")


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        name: its name in the store, such as `detailed@1`; another wording has another name.
        template: the words, with places such as `{class}`.
        schema: JSON schema of the reply, None for free text.
        fields: of the reply, each kept as an answer of its own, the description first; () if it is one text.
        choices: classes that `{classes}` lists, () for all.
        shortlists: prompts whose winners `{classes}` lists; they are asked first.
    """

    name: str
    template: str
    schema: Mapping[str, Any] | None = None
    fields: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    shortlists: tuple["Prompt", ...] = ()

    @cached_property
    def places(self) -> frozenset[str]:
        """The names in braces."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.template) if name is not None)

    def render(self, values: Mapping[str, str]) -> str:
        """The words for one image; `values` must have every name in `places`."""
        return self.template.format_map(values) if self.places else self.template.format()

    @property
    def identity(self) -> str:
        """All that the name stands for, as it is remembered in the store."""
        return f"{self.template}\n{_to_json(self.schema)}" if self.is_flattened else self.template

    @property
    def is_flattened(self) -> bool:
        """Whether the reply is JSON that becomes one text."""
        return self.schema is not None and not self.fields


def parse_prompts(words: Sequence[str], schema: Mapping[str, Any] | None = None) -> list[Prompt]:
    """Reads prompts as the user names them.

    Args:
        words: each a preset's name (`detailed`, or `detailed@1` for that version), the prompt's own text, or
            `NAME=TEXT` to give a text a name.
        schema: JSON schema that the replies shall have.

    Raises:
        SettingsError: a preset is unknown, a text has a lone brace, or a prompt is given twice.
    """
    prompts = [_parse_prompt(word.strip(), schema) for word in words]
    names = [prompt.name for prompt in prompts]
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"--prompt {' '.join(words) or '(none)'}: give at least one prompt, each once")
    return prompts


def _parse_prompt(word: str, schema: Mapping[str, Any] | None) -> Prompt:
    if word in PRESETS or PRESET_NAME.match(word):
        name, template = _find_preset(word)
    elif named := OWN_NAME.match(word):
        name, template = named.groups()
    else:
        name, template = f"own-{short_hash(word)}", word
    if schema is None:
        prompt = Prompt(name, template, fields=fields_of(name))
    else:
        prompt = Prompt(f"{name}+{short_hash(_to_json(schema))}", template, schema)
    _check_places(prompt)
    return prompt


def _find_preset(word: str) -> tuple[str, str]:
    base, _, version = word.partition("@")
    versions = PRESETS.get(base, ())
    number = int(version) if version else len(versions)
    if not 1 <= number <= len(versions):
        raise SettingsError(
            f"--prompt {word} is no preset; choose from {', '.join(PRESETS)}, "
            "or write the prompt itself, more than a word"
        )
    return f"{base}@{number}", versions[number - 1]


def _check_places(prompt: Prompt) -> None:
    try:
        named = all(place.isidentifier() or place == "class" for place in prompt.places)
        prompt.render(dict.fromkeys(prompt.places, ""))
    except (ValueError, IndexError, KeyError):
        named = False
    if not named:
        raise SettingsError(
            f"--prompt {prompt.template!r} has a brace that is no place; write {{class}}, {{classes}} or {{COLUMN}}, "
            "and {{ or }} for a brace itself"
        )


def _to_json(schema: Mapping[str, Any] | None) -> str:
    return json.dumps(schema, sort_keys=True)


def short_hash(text: str) -> str:
    """What tells one text from another, in eight characters."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]

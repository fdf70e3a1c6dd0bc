"""What is printed and written for people: no API keys, no control characters, no formulas."""

import base64
import html
import json
import logging
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus

KEY_NAMES = re.compile(r".*_API_KEY|HF_TOKEN|HUGGING_FACE_HUB_TOKEN")
SHORTEST_KEY = 8
"""Shorter values, such as `none` or `EMPTY` for local servers, are no secrets and could be any word."""
MASK = "***"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""All but tab and line feed: what moves a terminal's cursor, and what turns the direction of writing."""
FORMULA = re.compile(r"[=@\t\r\n＝＠＋－]|[+-](?![\d.]+$)")
"""How formulas begin, some of them in full width; +1 and -0.5 are numbers."""

_key_variables: set[str] = set()
_key_values: set[str] = set()


def silence_pillow() -> None:
    """Keeps what Pillow warns of in damaged and in large images off the terminal: what cannot be read is recorded."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def note_key_variable(name: str) -> None:
    """Notes that an environment variable holds an API key, whatever it is called."""
    _key_variables.add(name)


def note_key(value: str) -> None:
    """Notes an API key that was read, wherever it stood."""
    _key_values.add(value)


def find_keys() -> list[str]:
    """The API keys that were read and the values of all variables that hold some, as servers may write them.

    The longest first.
    """
    named = {value for name, value in os.environ.items() if name in _key_variables or KEY_NAMES.fullmatch(name)}
    keys = {key for key in named | _key_values if len(key) >= SHORTEST_KEY}
    return sorted({spelling for key in keys for spelling in _spell(key)}, key=len, reverse=True)


@cache
def _spell(key: str) -> frozenset[str]:
    """A key as it is, in addresses, in JSON and HTML, in base64 and in hexadecimal digits."""
    data = key.encode(errors="surrogateescape")
    percent = quote(data, safe="")
    lower = re.sub("%..", lambda match: match[0].lower(), percent)
    in_json = json.dumps(key)[1:-1]
    encoded = {coded.decode().rstrip("=") for coded in (base64.b64encode(data), base64.urlsafe_b64encode(data))}
    return frozenset((key, percent, lower, quote(data), quote_plus(data), in_json, in_json.replace("/", "\\/"),
                      html.escape(key), data.hex(), *encoded))  # fmt: skip


def mask_keys(text: str, keys: Sequence[str] | None = None) -> str:
    """The text without API keys, which servers may echo; of many texts, `keys` need be found only once."""
    for key in find_keys() if keys is None else keys:
        text = text.replace(key, MASK)
    return text


def start_of(text: str, length: int) -> str:
    """The start of a text that is masked later; keys are masked before it is cut: half a key is not found any more."""
    return text if len(text) <= length else mask_keys(text)[:length]


def printable(text: str) -> str:
    """The text as it may be printed: keys masked, control characters as `\\x1b`."""
    return CONTROL.sub(lambda match: _escape(match[0]), mask_keys(text))


def printable_line(text: str) -> str:
    """As `printable`, on one line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def printable_json(text: str) -> str:
    """JSON as it may be printed, still JSON."""
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", mask_keys(text))


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def format_duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `12 min`, `3.4 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def in_words(value: Any, nothing: str = "none") -> str:
    """Any value of a setting, on one line; `nothing` stands for None and what is empty."""
    if isinstance(value, bool) or value is None:
        return {None: nothing, True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {in_words(inner, nothing)}" for name, inner in value.items()) or nothing
    if isinstance(value, (list, tuple)):
        return ", ".join(in_words(one, nothing) for one in value) or nothing
    return str(value)


def defuse(cell: Any) -> Any:
    """A cell of a CSV that people open: a spreadsheet takes text that begins like a formula for one."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell

"""What a command says about itself: `--help` the settings most people need, `--help-all` all of them."""

import textwrap
import typing
from collections.abc import Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import docstring_parser

from gpt4image.cli.groups import Setting, read_groups, read_settings

WIDTH, FLAGS = 100, 25
"""Columns of the page, and of its flags; what a longer flag says begins on the next line."""
OVERVIEW = """\
usage: gpt4image COMMAND ...

Descriptions by a multimodal LLM teach ordinary image classifiers, at training time only.

{commands}

gpt4image COMMAND --help says more.
Exit status: 0 done, 2 a mistake in the call, 3 done in part, 4 stopped."""
ALWAYS = {
    "--config FILE": "YAML file with any settings, underscores for hyphens; flags win",
    "--json": "print the result as one JSON object",
}


def write_overview(helps: dict[str, str]) -> str:
    """What `gpt4image` alone prints.

    Args:
        helps: what each command does.
    """
    width = max(map(len, helps))
    return OVERVIEW.format(commands="\n".join(f"  {name:<{width}}  {text}" for name, text in helps.items()))


def write_help(name: str, settings_class: type, everything: bool) -> str:
    """What `gpt4image NAME --help` or, with everything, `--help-all` prints."""
    lines = [f"usage: {write_usage(name, settings_class)}", "", write_description(settings_class)]
    for group in read_groups(settings_class):
        shown = [setting for setting in group.settings if everything or setting.is_common]
        if shown:
            lines += ["", *filter(None, [group.heading])]
            lines += [line for setting in shown for line in _write_setting(setting)]
    lines += ["", *(line for flag, text in ALWAYS.items() for line in _write_row(flag, text))]
    hidden = sum(not setting.is_common for setting in read_settings(settings_class))
    if hidden and not everything:
        lines += ["", f"gpt4image {name} --help-all shows {hidden} more settings."]
    return "\n".join(lines)


def write_description(settings_class: type) -> str:
    """What the command does."""
    return docstring_parser.parse(settings_class.__doc__ or "").short_description or ""


def write_usage(name: str, settings_class: type) -> str:
    """The call in short, such as `gpt4image train IMAGES RUN [OPTIONS]`."""
    places = [setting.flag for setting in read_settings(settings_class) if setting.is_positional]
    return " ".join(["gpt4image", name, *places, "[OPTIONS]"])


def list_choices(hint: Any) -> list[str]:
    """The words that a setting may be."""
    parts = (part for part in (hint, *typing.get_args(hint)) if typing.get_origin(part) is typing.Literal)
    return [value for part in parts for value in typing.get_args(part)]


def name_type(setting: Setting) -> str:
    """What follows the flag, such as `N`."""
    hint = setting.hint
    parts = [part for part in (typing.get_args(hint) or (hint,)) if part not in (type(None), ...)]
    kind = dict if typing.get_origin(hint) is dict else parts[0]
    word = {str: "TEXT", Path: "PATH", int: "N", float: "X", dict: "JSON", bool: "BOOL"}.get(kind, "WORD")
    return word + (" ..." if setting.is_list else "")


def write_default(default: Any) -> str:
    """The value if the setting is not given; empty if there is none."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    return "" if default in (None, "", {}, MISSING) else str(default)


def _write_setting(setting: Setting) -> Iterator[str]:
    choices, default = ", ".join(list_choices(setting.hint)), write_default(setting.default)
    text = setting.help.rstrip(".") + (f": {choices}" if choices else "") + (f" [{default}]" if default else "")
    if setting.is_positional:
        return _write_row(setting.flag, text)
    if setting.hint is bool:
        return _write_row(f"--[no-]{setting.flag[2:]}", text)
    return _write_row(f"{setting.flag} {name_type(setting)}", text)


def _write_row(flag: str, text: str) -> Iterator[str]:
    wrapped = textwrap.wrap(text, WIDTH - FLAGS, break_long_words=False, break_on_hyphens=False)
    if len(flag) > FLAGS - 4:
        wrapped = ["", *wrapped]
    for number, line in enumerate(wrapped):
        yield f"  {'' if number else flag:<{FLAGS - 2}}{line}".rstrip()

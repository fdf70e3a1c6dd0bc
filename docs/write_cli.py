"""Writes docs/cli.md from the settings of the commands; `make docs` runs it, and a test compares.

python docs/write_cli.py
"""

import dataclasses
import importlib
import typing
from pathlib import Path
from typing import Any

import docstring_parser

from gpt4image.cli import COMMANDS, Command

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Commands

<!-- Written by docs/write_cli.py from the settings' docs; do not edit. -->

`gpt4image COMMAND --help` says the same. All settings may be given in a YAML file, too: `--config FILE.yaml`, with
underscores instead of hyphens; flags win. `--json` prints the result as one JSON object.

Exit status: 0 done, 2 a mistake in the call (one line on stderr says which), 3 done in part (what failed is recorded),
4 stopped at a limit (the same command goes on).
"""


def write_page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_write_command(name, command) for name, command in COMMANDS.items())])


def _write_command(name: str, command: Command) -> str:
    settings = getattr(importlib.import_module(command.module), command.settings)
    doc = docstring_parser.parse(settings.__doc__)
    helps = {param.arg_name: " ".join((param.description or "").split()) for param in doc.params}
    hints = typing.get_type_hints(settings)
    fields = dataclasses.fields(settings)
    positional = [field for field in fields if _default(field) is dataclasses.MISSING]
    usage = " ".join(["gpt4image", name, *(field.name.upper() for field in positional), "[OPTIONS]"])
    rows = [
        f"| {_spell(field, hints[field.name])} | {_write_default(field)} | {helps[field.name]} |" for field in fields
    ]
    lines = [f"## {name}", "", f"{doc.short_description}", "", f"    {usage}", ""]
    return "\n".join([*lines, "| argument | default | |", "|---|---|---|", *map(_escape, rows), ""])


def _spell(field: Any, hint: Any) -> str:
    """How the argument is written on the command line."""
    flag = "--" + field.name.replace("_", "-")
    if _default(field) is dataclasses.MISSING:
        return f"`{field.name.upper()}`"
    if hint is bool:
        return f"`{flag}`, `--no-{field.name.replace('_', '-')}`"
    choices = [value for part in (hint, *typing.get_args(hint)) if typing.get_origin(part) is typing.Literal
               for value in typing.get_args(part)]  # fmt: skip
    if choices:
        return f"`{flag}` " + ", ".join(f"`{choice}`" for choice in choices)
    several = " ..." if typing.get_origin(hint) is tuple else ""
    return f"`{flag} {_name_type(hint)}{several}`"


def _name_type(hint: Any) -> str:
    parts = [part for part in (typing.get_args(hint) or (hint,)) if part not in (type(None), ...)]
    kind = parts[0] if typing.get_origin(hint) is not dict else dict
    return {str: "TEXT", Path: "PATH", int: "N", float: "X", dict: "JSON"}.get(kind, "VALUE")


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _write_default(field: Any) -> str:
    value = _default(field)
    if value is dataclasses.MISSING:
        return "required"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        value = " ".join(map(str, value))
    return "" if value in (None, "", {}) else f"`{value}`"


def _escape(row: str) -> str:
    """A pipe inside a cell must not end it; braces, brackets and angles stay as they are."""
    cells = row.removeprefix("| ").removesuffix(" |").split(" | ")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(write_page(), encoding="utf-8")

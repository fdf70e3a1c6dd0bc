"""Writes docs/cli.md from the settings of the commands; `make docs` runs it, and a test compares.

python docs/write_cli.py
"""

from pathlib import Path

from gpt4image.cli.commands import COMMANDS, Command
from gpt4image.cli.groups import Setting, read_groups
from gpt4image.cli.usage import list_choices, name_type, write_default, write_description, write_usage

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Commands

<!-- Written by docs/write_cli.py from the settings' docs; do not edit. -->

`gpt4image COMMAND --help-all` says the same, `--help` the part of it that most people need. All settings may be given
in a YAML file, too: `--config FILE.yaml`, with underscores instead of hyphens; flags win. `--json` prints the result as
one JSON object.

Exit status: 0 done, 2 a mistake in the call (one line on stderr says which), 3 done in part (what failed is recorded),
4 stopped at a limit (the same command goes on).
"""


def write_page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_write_command(name, command) for name, command in COMMANDS.items())])


def _write_command(name: str, command: Command) -> str:
    settings, _ = command.load()
    lines = [f"## {name}", "", write_description(settings), "", f"    {write_usage(name, settings)}", ""]
    for group in read_groups(settings):
        lines += [f"### {group.heading}", ""] if group.heading else []
        lines += ["| argument | default | |", "|---|---|---|", *map(_write_row, group.settings), ""]
    return "\n".join(lines)


def _write_row(setting: Setting) -> str:
    default = write_default(setting.default)
    if setting.is_positional:
        default = "required"
    elif not isinstance(setting.default, bool):
        default = f"`{default}`" if default else ""
    return _escape(f"| {_spell(setting)} | {default} | {setting.help} |")


def _spell(setting: Setting) -> str:
    """How the argument is written on the command line."""
    if setting.is_positional:
        return f"`{setting.flag}`"
    if setting.hint is bool:
        return f"`{setting.flag}`, `--no-{setting.flag[2:]}`"
    choices = ", ".join(f"`{choice}`" for choice in list_choices(setting.hint))
    return f"`{setting.flag}` {choices}" if choices else f"`{setting.flag} {name_type(setting)}`"


def _escape(row: str) -> str:
    """A pipe inside a cell must not end it; braces, brackets and angles stay as they are."""
    cells = row.removeprefix("| ").removesuffix(" |").split(" | ")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(write_page(), encoding="utf-8")

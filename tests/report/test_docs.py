"""The commands in the docs about report, gallery, search and export are commands that exist."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from gpt4image.cli import COMMANDS, parse_settings

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    block
    for name in ("report.md", "export.md")
    for block in re.findall(
        r"^```(\w*)\n(.*?)^```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
]
LINES = [line for kind, text in BLOCKS if not kind for line in text.splitlines() if line.startswith("gpt4image ")]


@pytest.mark.parametrize("line", LINES)
def test_command_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = COMMANDS[name]
    settings = getattr(importlib.import_module(command.module), command.settings)
    parse_settings(name, settings, arguments)


def test_all_kinds_of_blocks_are_found() -> None:
    assert {shlex.split(line)[1] for line in LINES} == {"report", "transfer", "gallery", "search", "export"}
    assert sum(kind == "python" for kind, _ in BLOCKS) == 2


def test_python_in_the_docs_compiles() -> None:
    for kind, text in BLOCKS:
        if kind == "python":
            compile(text, "docs", "exec")


def test_examples_named_in_the_docs_exist() -> None:
    for name in re.findall(r"examples/\w+\.py", (DOCS / "export.md").read_text()):
        assert (DOCS.parent / name).exists()

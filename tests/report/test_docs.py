"""The commands in the docs about report, gallery, search and export are commands that exist."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from gpt4image.cli import COMMANDS, parse_settings

DOCS = Path(__file__).parents[2] / "docs"
LINES = [
    line
    for name in ("report.md", "export.md")
    for block in re.findall(r"```\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("gpt4image ")
]


@pytest.mark.parametrize("line", LINES)
def test_command_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = COMMANDS[name]
    settings = getattr(importlib.import_module(command.module), command.settings)
    parse_settings(name, settings, arguments)


def test_python_in_the_docs_compiles() -> None:
    blocks = [
        block
        for path in ("report.md", "export.md")
        for block in re.findall(r"```python\n(.*?)```", (DOCS / path).read_text(), re.DOTALL)
    ]
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "docs", "exec")


def test_examples_named_in_the_docs_exist() -> None:
    for name in re.findall(r"examples/\w+\.py", (DOCS / "export.md").read_text()):
        assert (DOCS.parent / name).exists()

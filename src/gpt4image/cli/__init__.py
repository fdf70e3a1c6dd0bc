"""The command line: one sub-command a stage, made from the stage's settings. No logic lives here."""

from gpt4image.cli.commands import COMMANDS
from gpt4image.cli.parse import parse_settings
from gpt4image.cli.run import main, program

__all__ = ["COMMANDS", "main", "parse_settings", "program"]

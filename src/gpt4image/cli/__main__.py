"""`python -m gpt4image.cli`, for launchers such as torchrun."""

from gpt4image.cli import program

program()

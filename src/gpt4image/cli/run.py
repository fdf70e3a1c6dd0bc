"""Runs one command: words in, an exit status out."""

import os
import sys
from collections.abc import Sequence
from typing import Any

from gpt4image import __version__
from gpt4image.cli.commands import COMMANDS
from gpt4image.cli.parse import parse_settings
from gpt4image.cli.usage import write_help, write_overview
from gpt4image.errors import Gpt4ImageError, SettingsError
from gpt4image.results import ExitStatus, StageResult
from gpt4image.stopping import terminate_as_interrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(write_overview({name: command.help for name, command in COMMANDS.items()}))
        return ExitStatus.DONE if arguments else ExitStatus.MISTAKE
    if arguments[0] in ("-V", "--version"):
        print(__version__)
        return ExitStatus.DONE
    # Threads that wait for each other sleep: on a machine with other work, spinning costs several times the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    terminate_as_interrupt()
    try:
        return _leave(_run(arguments[0], arguments[1:]))
    except Gpt4ImageError as error:
        print(f"gpt4image {arguments[0]}: {error}", file=sys.stderr)
        return ExitStatus.MISTAKE
    except KeyboardInterrupt:
        print("stopped; finished work is kept, the same command goes on from there", file=sys.stderr)
        return ExitStatus.STOPPED


def _run(name: str, arguments: list[str]) -> int:
    if name not in COMMANDS:
        raise SettingsError(f"there is no such command; choose from {', '.join(COMMANDS)}")
    settings_class, function = COMMANDS[name].load()
    if {"-h", "--help", "--help-all"} & set(arguments):
        print(write_help(name, settings_class, everything="--help-all" in arguments))
        return ExitStatus.DONE
    as_json = "--json" in arguments
    settings: Any = parse_settings(name, settings_class, [word for word in arguments if word != "--json"])
    result: StageResult = function(settings)
    _show(result, as_json)
    return result.exit_status


def _leave(status: int) -> int:
    """The status; one of several launched processes ends at once with it.

    Threads of torch.distributed that still wait may otherwise abort a process whose work is done.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _show(result: StageResult, as_json: bool) -> None:
    if as_json:
        print(result.to_json())
        return
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    for line in result.lines():
        console.print(line, markup=False) if isinstance(line, str) else console.print(line)

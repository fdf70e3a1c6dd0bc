"""Runs one command: words in, an exit status out."""

import atexit
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gpt4image import __version__
from gpt4image.cli.commands import COMMANDS
from gpt4image.cli.failures import explain_failure
from gpt4image.cli.parse import parse_settings
from gpt4image.cli.usage import write_help, write_overview
from gpt4image.errors import Gpt4ImageError, SettingsError, UnavailableError
from gpt4image.models.trust import PREFIX, allow_import, refuse_import
from gpt4image.results import ExitStatus, StageResult
from gpt4image.shown import note_key_variable, printable, printable_json, printable_line, silence_pillow
from gpt4image.stopping import terminate_as_interrupt


def program() -> None:
    """The program: what `main` does, and its exit status.

    What has to be done at the end is done, but the modules are not taken apart one by one, which takes as long as all
    else after Ctrl-C. One of several launched processes ends at once: threads of torch.distributed that still wait may
    otherwise abort a process whose work is done.
    """
    status: int = ExitStatus.STOPPED
    # A signal may come before `main` begins to heed it, or after it has ended.
    with suppress(KeyboardInterrupt):
        status = main()
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
    with suppress(OSError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


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
    silence_pillow()
    terminate_as_interrupt()
    try:
        return _run(arguments[0], arguments[1:])
    except Gpt4ImageError as error:
        print(f"gpt4image {printable_line(arguments[0])}: {printable_line(str(error))}", file=sys.stderr)
        return ExitStatus.STOPPED if isinstance(error, UnavailableError) else ExitStatus.MISTAKE
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
    words = _take_imports([word for word in arguments if word != "--json"])
    settings: Any = parse_settings(name, settings_class, words)
    _check_files(settings, words)
    try:
        result: StageResult = function(settings)
    except Exception as error:
        failure = None if isinstance(error, Gpt4ImageError) else explain_failure(error, settings)
        if failure is None:
            raise
        print(f"gpt4image {name}: {printable_line(failure[0])}", file=sys.stderr)
        return failure[1]
    _show(result, as_json)
    return result.exit_status


def _take_imports(words: list[str]) -> list[str]:
    """The words but for `--allow-import PACKAGE.MODULE:FUNCTION`, which every command takes."""
    rest: list[str] = []
    for word in (remaining := iter(words)):
        flag, equals, name = word.partition("=")
        if flag == "--allow-import":
            name = name if equals else next(remaining, "")
            if name.count(":") != 1:
                raise SettingsError(f"--allow-import {name} must be PACKAGE.MODULE:FUNCTION")
            allow_import(f"{PREFIX}{name}")
        else:
            rest.append(word)
    return rest


def _check_files(settings: Any, words: list[str]) -> None:
    """Of code to run, only the command line is believed, not a file that was given with `--config`."""
    for word in words:
        allow_import(word.partition("=")[2] or word)
    refuse_import(getattr(settings, "model", None), "--config")
    names = getattr(settings, "api_key_env", ())
    for name in (names,) if isinstance(names, str) else names:
        note_key_variable(name)
    for header in getattr(settings, "header", ()):
        note_key_variable(header.partition("=")[2])


def _show(result: StageResult, as_json: bool) -> None:
    if as_json:
        print(printable_json(result.to_json()))
        return
    from rich.console import Console
    from rich.segment import Segment, Segments

    # Texts and names that look like rich's markup are no markup, in tables neither.
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in result.lines():
        if isinstance(line, str):
            console.print(printable(line))
        else:
            parts = console.render(line, console.options.update(no_wrap=True, overflow="ignore"))
            console.print(Segments(Segment(printable(part.text), part.style, part.control) for part in parts), end="")

"""The command line: one sub-command a stage, made from the stage's settings. No logic lives here."""

import dataclasses
import importlib
import os
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gpt4image import __version__
from gpt4image.errors import Gpt4ImageError, SettingsError
from gpt4image.results import ExitStatus, StageResult

S = TypeVar("S")


@dataclass(frozen=True)
class Command:
    """Where a command lives: `module` holds the function `function` that takes one `settings` object."""

    help: str
    module: str
    function: str
    settings: str


COMMANDS = {
    "demo": Command(
        "all stages on Fashion-MNIST, with table and report", "gpt4image.demo.stage", "demo", "DemoSettings"
    ),
    "split": Command("set test images aside", "gpt4image.images.split", "split", "SplitSettings"),
    "describe": Command(
        "write a description of every image",
        "gpt4image.describe.stage",
        "describe_command",
        "DescribeSettings",
    ),
    "describe-import": Command(
        "take descriptions from a file",
        "gpt4image.describe.exchange.import_stage",
        "import_descriptions",
        "ImportSettings",
    ),
    "describe-export": Command(
        "write descriptions to a file",
        "gpt4image.describe.exchange.export_stage",
        "export_descriptions",
        "ExportDescriptionsSettings",
    ),
    "lint": Command("say what is wrong with descriptions", "gpt4image.describe.lint.stage", "lint", "LintSettings"),
    "doctor": Command(
        "say whether an endpoint sees images", "gpt4image.describe.doctor.stage", "examine", "DoctorSettings"
    ),
    "embed": Command("turn descriptions into text embeddings", "gpt4image.embed.stage", "embed", "EmbedSettings"),
    "forecast": Command(
        "say from a pilot what describing all would bring and cost",
        "gpt4image.forecast.stage",
        "forecast",
        "ForecastSettings",
    ),
    "train": Command("train one image model", "gpt4image.train.stage", "train", "TrainSettings"),
    "evaluate": Command(
        "measure a trained model on images", "gpt4image.evaluate.stage", "evaluate", "EvaluateSettings"
    ),
    "compare": Command(
        "baseline against aligned models, with controls and intervals",
        "gpt4image.compare.stage",
        "compare",
        "CompareSettings",
    ),
    "transfer": Command(
        "measure a model's features on other classes", "gpt4image.evaluate.transfer", "transfer", "TransferSettings"
    ),
    "export": Command("write a plain timm model", "gpt4image.export.stage", "export", "ExportSettings"),
    "report": Command("write the HTML report of a comparison", "gpt4image.report.stage", "report", "ReportSettings"),
    "search": Command("find images by text", "gpt4image.report.search", "search", "SearchSettings"),
    "label-errors": Command(
        "list labels to check, found by text",
        "gpt4image.report.label_errors",
        "find_label_errors",
        "LabelErrorsSettings",
    ),
    "gallery": Command(
        "look through images and descriptions", "gpt4image.report.gallery.stage", "gallery", "GallerySettings"
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return ExitStatus.DONE if arguments else ExitStatus.MISTAKE
    if arguments[0] in ("-V", "--version"):
        print(__version__)
        return ExitStatus.DONE
    # Threads that wait for each other sleep: on a machine with other work, spinning costs several times the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
    command = COMMANDS[name]
    module = importlib.import_module(command.module)
    as_json = "--json" in arguments
    settings = parse_settings(name, getattr(module, command.settings), [a for a in arguments if a != "--json"])
    result: StageResult = getattr(module, command.function)(settings)
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


def _overview() -> str:
    width = max(map(len, COMMANDS))
    rows = (f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    return "\n".join(
        [
            "usage: gpt4image COMMAND ...",
            "",
            "Descriptions by a multimodal LLM teach ordinary image classifiers, at training time only.",
            "",
            *rows,
            "",
            "gpt4image COMMAND --help says more.",
            "Exit status: 0 done, 2 a mistake in the call, 3 done in part, 4 stopped.",
        ]
    )


def parse_settings(name: str, settings_class: type[S], arguments: list[str]) -> S:
    """Parses the arguments of one command: `--config FILE.yaml` first, flags win.

    Args:
        name: the command's name, for messages.
        settings_class: a frozen dataclass; fields without a default are positional, the docstring's
            `Attributes:` section is the help text.
        arguments: the words after the command's name.

    Raises:
        SettingsError: an argument is unknown, missing, or has a value that is not allowed.
    """
    parser = make_parser(name, settings_class)
    _refuse_repeated(settings_class, arguments)
    from argparse import ArgumentError

    try:
        values = vars(parser.parse_args(arguments))
    except ArgumentError as error:
        raise SettingsError(f"{_one_line(str(error))} (see gpt4image {name} --help)") from error
    fields = [field for field in dataclasses.fields(settings_class) if field.init]  # type: ignore[arg-type]
    missing = [f.name.upper() for f in fields if _is_positional(f) and values.get(f.name) is None]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} missing (see gpt4image {name} --help)")
    hints = typing.get_type_hints(settings_class)
    return settings_class(**{f.name: _to_field_type(values[f.name], hints[f.name]) for f in fields})


def _refuse_repeated(settings_class: type, arguments: list[str]) -> None:
    """Of a list that is given twice, the first would be lost."""
    given = [word.partition("=")[0] for word in arguments]
    for name, hint in typing.get_type_hints(settings_class).items():
        flag = "--" + name.replace("_", "-")
        if typing.get_origin(hint) is tuple and given.count(flag) > 1:
            raise SettingsError(f"{flag} is given twice; write all values after one: {flag} A B")


def make_parser(name: str, settings_class: type) -> Any:
    """Builds the argument parser of one command from its settings class."""
    import docstring_parser
    from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser

    doc = docstring_parser.parse(settings_class.__doc__ or "")
    helps = {param.arg_name: " ".join((param.description or "").split()) for param in doc.params}
    hints = typing.get_type_hints(settings_class)
    parser = ArgumentParser(
        prog=f"gpt4image {name}", description=doc.short_description, exit_on_error=False, allow_abbrev=False
    )
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with any of these settings; flags win")
    for field in dataclasses.fields(settings_class):
        hint, text = hints[field.name], helps[field.name]
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if _is_positional(field):
            parser.add_argument(field.name, type=_from_words(hint), metavar=field.name.upper(), nargs="?", help=text)
        elif hint is bool:
            flag = "--" + field.name.replace("_", "-")
            parser.add_argument(flag, action=ActionYesNo(no_prefix="no-"), default=default, help=text)
        else:
            flag, several = "--" + field.name.replace("_", "-"), typing.get_origin(hint) is tuple
            kind = typing.get_args(hint)[0] if several else _from_words(hint)
            extra: dict[str, Any] = {"nargs": "*"} if several else {}
            default = list(typing.cast(tuple, default)) if several else default
            parser.add_argument(flag, type=_from_words(kind), default=default, help=text, **extra)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return parser


def _is_positional(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _from_words(hint: Any) -> Any:
    """The type a parser reads: paths are read as words."""
    if hint is Path:
        return str
    if isinstance(hint, types.UnionType) and Path in typing.get_args(hint):
        return str | None
    return hint


def _to_field_type(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        return tuple(value)
    wants_path = hint is Path or (isinstance(hint, types.UnionType) and Path in typing.get_args(hint))
    return Path(value) if wants_path and value is not None else value


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())

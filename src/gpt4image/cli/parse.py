"""From the words after a command's name to its settings."""

import typing
from pathlib import Path
from typing import Any, TypeVar

from gpt4image.cli.groups import Setting, read_settings
from gpt4image.errors import SettingsError

S = TypeVar("S")


def parse_settings(name: str, settings_class: type[S], arguments: list[str]) -> S:
    """Parses the arguments of one command: `--config FILE.yaml` first, flags win.

    Args:
        name: the command's name, for messages.
        settings_class: a frozen dataclass, see `groups.read_groups`; fields without a default are positional.
        arguments: the words after the command's name.

    Raises:
        SettingsError: an argument is unknown, missing, or has a value that is not allowed.
    """
    from argparse import ArgumentError

    import yaml

    settings = read_settings(settings_class)
    _refuse_repeated(settings, arguments)
    files, words = _split_files(arguments)
    written: dict[str, Any] = {}
    for file in files:
        written |= _read_file(file, settings)
    try:
        from_files = [f"--config={yaml.safe_dump(written)}"] if written else []
        values = vars(_make_parser(name, settings).parse_args([*from_files, *words]))
    except ArgumentError as error:
        raise SettingsError(f"{error} (see gpt4image {name} --help-all)") from error
    for setting in settings:  # argparse takes a word that is not there for the default
        if setting.is_positional and values[setting.name] is None and setting.name in written:
            values[setting.name] = setting.hint(written[setting.name])
    missing = [setting.flag for setting in settings if setting.is_positional and values.get(setting.name) is None]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} missing (see gpt4image {name} --help)")
    given = {setting.name: values[setting.name] for setting in settings}
    return settings_class(**given | {one.name: tuple(given[one.name]) for one in settings if one.is_list})


def _refuse_repeated(settings: tuple[Setting, ...], arguments: list[str]) -> None:
    """Of a list that is given twice, the first would be lost."""
    given = [word.partition("=")[0] for word in arguments]
    for setting in settings:
        if setting.is_list and given.count(setting.flag) > 1:
            raise SettingsError(f"{setting.flag} is given twice; write all values after one: {setting.flag} A B")


def _split_files(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The files after `--config`, whose settings yield to all words, and the other words."""
    files: list[str] = []
    others: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--config":
            files.append(next(words, ""))
        else:
            (files if word.startswith("--config=") else others).append(word.removeprefix("--config="))
    return files, others


def _read_file(file: str, settings: tuple[Setting, ...]) -> dict[str, Any]:
    """The settings in a YAML file; one value in the place of a list is a list of one, and none leaves the default.

    Raises:
        SettingsError: it cannot be read, or is no mapping of settings.
    """
    import yaml

    try:
        written = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"--config {file} cannot be read as YAML: {error}") from error
    if not isinstance(written, dict):
        raise SettingsError(f"--config {file} must hold lines such as `model: resnet50`, not {str(written)[:60]!r}")
    for setting in settings:
        value = written.get(setting.name)
        if setting.is_list and isinstance(value, dict):
            raise SettingsError(f"--config {file}: {setting.name} must be a list such as [a, b], not {value}")
        if setting.is_list and setting.name in written and not isinstance(value, list):
            written[setting.name] = list(setting.default) if value is None else [value]
    return written


def _make_parser(name: str, settings: tuple[Setting, ...]) -> Any:
    from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser

    parser = ArgumentParser(prog=f"gpt4image {name}", exit_on_error=False, allow_abbrev=False, add_help=False)
    parser.add_argument("--config", action=ActionConfigFile)
    for setting in settings:
        if setting.is_positional:
            parser.add_argument(setting.name, type=setting.hint, nargs="?")
        elif setting.hint is bool:
            parser.add_argument(setting.flag, action=ActionYesNo(no_prefix="no-"), default=setting.default)
        elif setting.is_list:
            kind, *_ = typing.get_args(setting.hint)
            parser.add_argument(setting.flag, type=kind, default=list(setting.default), nargs="*")
        else:
            parser.add_argument(setting.flag, type=setting.hint, default=setting.default)
    return parser

"""From the words after a command's name to its settings."""

import types
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

    settings = read_settings(settings_class)
    _refuse_repeated(settings, arguments)
    try:
        values = vars(_make_parser(name, settings).parse_args(arguments))
    except ArgumentError as error:
        raise SettingsError(f"{error} (see gpt4image {name} --help-all)") from error
    missing = [setting.flag for setting in settings if setting.is_positional and values.get(setting.name) is None]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} missing (see gpt4image {name} --help)")
    return settings_class(**{setting.name: _to_field_type(values[setting.name], setting) for setting in settings})


def _refuse_repeated(settings: tuple[Setting, ...], arguments: list[str]) -> None:
    """Of a list that is given twice, the first would be lost."""
    given = [word.partition("=")[0] for word in arguments]
    for setting in settings:
        if setting.is_list and given.count(setting.flag) > 1:
            raise SettingsError(f"{setting.flag} is given twice; write all values after one: {setting.flag} A B")


def _make_parser(name: str, settings: tuple[Setting, ...]) -> Any:
    from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser

    parser = ArgumentParser(prog=f"gpt4image {name}", exit_on_error=False, allow_abbrev=False, add_help=False)
    parser.add_argument("--config", action=ActionConfigFile)
    for setting in settings:
        if setting.is_positional:
            parser.add_argument(setting.name, type=_from_words(setting.hint), nargs="?")
        elif setting.hint is bool:
            parser.add_argument(setting.flag, action=ActionYesNo(no_prefix="no-"), default=setting.default)
        elif setting.is_list:
            kind = _from_words(typing.get_args(setting.hint)[0])
            parser.add_argument(setting.flag, type=kind, default=list(setting.default), nargs="*")
        else:
            parser.add_argument(setting.flag, type=_from_words(setting.hint), default=setting.default)
    return parser


def _wants_path(hint: Any) -> bool:
    return hint is Path or (isinstance(hint, types.UnionType) and Path in typing.get_args(hint))


def _from_words(hint: Any) -> Any:
    """The type a parser reads: paths are read as words."""
    if not _wants_path(hint):
        return hint
    return str if hint is Path else str | None


def _to_field_type(value: Any, setting: Setting) -> Any:
    if setting.is_list:
        return tuple(value)
    return Path(value) if _wants_path(setting.hint) and value is not None else value

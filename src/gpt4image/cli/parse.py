"""From the words after a command's name to its settings."""

import typing
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
    try:
        values = vars(_make_parser(name, settings).parse_args(_files_first(arguments)))
    except ArgumentError as error:
        raise SettingsError(f"{error} (see gpt4image {name} --help-all)") from error
    for config in values["config"] or ():  # argparse takes a word that is not there for the default
        written = yaml.safe_load(config.get_content()) or {}
        for setting in settings:
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


def _files_first(arguments: list[str]) -> list[str]:
    """The same words, `--config FILE` before all others, which win over what stands before them."""
    files: list[str] = []
    others: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--config":
            files += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            (files if word.startswith("--config=") else others).append(word)
    return files + others


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

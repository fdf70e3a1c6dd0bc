"""Settings by theme: a settings class and those it inherits from are its groups."""

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from typing import Any

import docstring_parser


@dataclass(frozen=True)
class Setting:
    """One setting of a command.

    Attributes:
        name: of the field.
        hint: its type.
        default: `dataclasses.MISSING` if it must be given; it then has no flag but a place.
        help: what the docstring of its class says.
        is_common: whether most people need it, so that `--help` shows it.
    """

    name: str
    hint: Any
    default: Any
    help: str
    is_common: bool

    @property
    def is_positional(self) -> bool:
        return self.default is MISSING

    @property
    def is_list(self) -> bool:
        return typing.get_origin(self.hint) is tuple

    @property
    def flag(self) -> str:
        return self.name.upper() if self.is_positional else "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Group:
    """Settings of one theme.

    Attributes:
        heading: first line of the group's docstring; empty if the command has one group only.
        settings: in the order of the class.
    """

    heading: str
    settings: tuple[Setting, ...]


def read_groups(settings_class: type) -> tuple[Group, ...]:
    """The groups of a command, in order.

    Args:
        settings_class: a dataclass. Those it inherits from are its groups, the last one first, as dataclasses order
            their fields; if it inherits from none it is the only group itself. `COMMON` names the settings that most
            people need; without it these are all.
    """
    owners = [owner for owner in reversed(settings_class.__mro__) if inspect.get_annotations(owner)]
    groups = (Group(_heading(owner), tuple(_read_settings(owner, settings_class))) for owner in owners)
    found = tuple(group for group in groups if group.settings)
    return found if len(found) > 1 else tuple(dataclasses.replace(group, heading="") for group in found)


def read_settings(settings_class: type) -> tuple[Setting, ...]:
    """All settings of a command, in the order of the groups."""
    return tuple(setting for group in read_groups(settings_class) for setting in group.settings)


def _heading(owner: type) -> str:
    return (docstring_parser.parse(owner.__doc__ or "").short_description or "").rstrip(".")


def _read_settings(owner: type, settings_class: Any) -> Iterator[Setting]:
    """The settings that a class of the command defines itself."""
    doc = docstring_parser.parse(owner.__doc__ or "")
    helps = {param.arg_name: " ".join((param.description or "").split()) for param in doc.params}
    hints = typing.get_type_hints(owner)
    for field in dataclasses.fields(settings_class):
        if field.name in owner.__annotations__:
            default = field.default if field.default_factory is MISSING else field.default_factory()
            is_common = default is MISSING or field.name in getattr(settings_class, "COMMON", hints)
            yield Setting(field.name, hints[field.name], default, helps[field.name], is_common)

"""Prompts by name: `detailed` means every version of it that is there, `detailed@1` that one."""

from collections.abc import Iterable, Sequence

from gpt4image.errors import DescriptionError


def find_prompts(name: str, known: Iterable[str]) -> list[str]:
    """The known prompts that a name means."""
    return [stored for stored in known if stored == name or stored.rpartition("@")[0] == name]


def match_prompts(wanted: Sequence[str], known: Iterable[str], place: object) -> list[str]:
    """The known prompts that are meant, each once.

    Args:
        wanted: names as a user writes them.
        known: names as stored.
        place: where they were looked for, for the message.

    Raises:
        DescriptionError: a name matches none.
    """
    known = list(known)
    found: dict[str, None] = {}
    for name in wanted:
        matching = find_prompts(name, known)
        if not matching:
            raise DescriptionError(f"{place} holds no ok descriptions of prompt {name!r}; it has {', '.join(known)}")
        found |= dict.fromkeys(matching)
    return list(found)

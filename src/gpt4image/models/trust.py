"""Modules of the user's own are imported only if the user has named them; what stands in a file is data."""

from gpt4image.errors import ModelError

PREFIX = "import:"
_allowed: set[str] = set()


def allow_import(name: str) -> None:
    """Notes that the user, on the command line or in Python, has named `import:PACKAGE.MODULE:FUNCTION`."""
    if name.startswith(PREFIX):
        _allowed.add(name)


def refuse_import(name: object, place: object) -> None:
    """Checks the name of a model that stands in a file.

    Raises:
        ModelError: it would run code that the user has not named.
    """
    if isinstance(name, str) and name.startswith(PREFIX) and name not in _allowed:
        raise ModelError(
            f"{place} wants to run code, {name!r}; if you know that module and trust it, add --allow-import "
            f"{name.removeprefix(PREFIX)} (in Python: models.trust.allow_import)"
        )

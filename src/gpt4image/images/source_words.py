"""Takes an image set's word apart: `WHERE?option=value&option=value`."""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from gpt4image.errors import ImageSetError


def split_source(word: str, allowed: Sequence[str], source: str, form: str) -> tuple[str, dict[str, str]]:
    """The part before the question mark, and the options behind it.

    Raises:
        ImageSetError: an option is not among `allowed`, or nothing stands before the question mark.
    """
    where, _, query = word.rpartition("?")
    if "=" not in query:  # A question mark of a name, or of a glob.
        where, query = word, ""
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in allowed:
            raise ImageSetError(f"{source}: there is no option {name!r}; write {form}")
    if not where:
        raise ImageSetError(f"{source} names no images; write {form}")
    return where, options

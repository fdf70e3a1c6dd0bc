"""Names of files as keys, and files by names that are written a little differently than on the disk."""

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from unicodedata import normalize

ESCAPED_BYTE = re.compile(r"\\x([89a-f][0-9a-f])")


def escape_name(name: str) -> str:
    """A name that can be printed and stored: bytes that are no UTF-8, as old archives leave them, become `\\xe9`."""
    try:
        name.encode()
        return name
    except UnicodeEncodeError:
        # What did not come from the file system, such as half a character in JSON, is no byte of a name.
        errors = "surrogatepass" if re.search(r"[\ud800-\udc7f\udd00-\udfff]", name) else "surrogateescape"
        return name.encode("utf-8", errors).decode("utf-8", "backslashreplace")


def find_file(root: str, name: str) -> str:
    """The path of a file, by its name relative to `root`.

    A file of exactly this name comes first. If there is none: backslashes as separators, bytes as `escape_name` writes
    them, other Unicode forms (NFC, NFD) and spaces around the name are understood.
    """
    path = os.path.normpath(os.path.join(root, name))
    is_plain = name.isascii() and "\\" not in name and name == name.strip()
    if is_plain or os.path.lexists(path):
        return path
    for spelling in _spellings(name):
        found = _find_by_form(root, spelling)
        if found is not None:
            return found
    return path


def _spellings(name: str) -> Iterator[str]:
    for spelling in dict.fromkeys((name, name.strip())):
        yield spelling
        yield ESCAPED_BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), spelling)
        yield spelling.replace("\\", "/")


def _find_by_form(root: str, name: str) -> str | None:
    """Goes down folder by folder, and takes in each the entry that is the same text in another Unicode form."""
    place = os.path.normpath(root)
    if name.startswith("/"):
        place = "/"
    for part in name.split("/"):
        if part in ("", "."):
            continue
        step = os.path.normpath(os.path.join(place, part))
        if not os.path.lexists(step):
            step = os.path.join(place, _entries(place, _changed_ns(place)).get(normalize("NFC", part), ""))
            if step == os.path.join(place, ""):
                return None
        place = step
    return place


@lru_cache(maxsize=64)
def _entries(folder: str, changed_ns: int) -> dict[str, str]:
    try:
        return {normalize("NFC", name): name for name in sorted(os.listdir(folder))}
    except (OSError, ValueError):
        return {}


def _changed_ns(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except (OSError, ValueError):
        return 0

"""Finds the image that a row of somebody's file is about."""

import hashlib
import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from gpt4image.describe.replay.rows import Row
from gpt4image.errors import DescriptionError
from gpt4image.images.decoding.formats import image_suffixes
from gpt4image.images.files.names import escape_name, find_file

PATH_COLUMNS = ("path", "file_name", "image")
COLUMNS = ("digest", "key", *PATH_COLUMNS, "index")
"""Columns that name an image; a side-car's name without its end is the `stem`."""


class ImageMatcher:
    """Matches rows to images by `digest`, `key`, `path`/`file_name`/`image` or `index`, the first column that is there.

    A path matches a key, the file itself when taken relative to `folder`, or the one image whose path ends like it (as
    a key does: img2dataset writes those of shards without the shard);
    the path of a file that is there and is none of the images matches nothing. An index matches keys such as
    `train/60`. An image with its bytes in the row, as data sets in Parquet have it, matches by its digest. Where no
    name is the same, backslashes, Unicode forms (NFC, NFD) and bytes that are no UTF-8 make no difference; then a name
    may be an address (`%20`, `?w=200`, `#0`), or lack the suffix of the single file that it can mean, as keys of shards
    do.
    """

    def __init__(
        self,
        keys: Sequence[str],
        digests: Sequence[str],
        folder: Path,
        location: Callable[[int], Path | None] = lambda index: None,
    ) -> None:
        """Prepares to match.

        Args:
            keys: key of each image.
            digests: digest of each image.
            folder: folder of the file, to which its paths are relative.
            location: tells the file of an image, by its position.
        """
        self._keys, self._digests, self._folder = keys, digests, os.path.abspath(folder)
        self._location = location
        self._names: dict[str, Callable[[], Iterable[str]]] = {
            "digest": lambda: digests,
            "key": lambda: keys,
            "index": lambda: (key.rpartition("/")[2] for key in keys),
            "file": lambda: map(self._file, range(len(keys))),
        }
        self._positions: dict[str, dict[str, int]] = {}

    def find(self, row: Row) -> int | None:
        """The position of the row's image in the image set, or None.

        Raises:
            DescriptionError: a side-car is about several images.
        """
        column = next((name for name in (*COLUMNS, "stem") if _is_given(row.get(name))), None)
        if column is None:
            return None
        if isinstance(row[column], dict | bytes):
            return self._find_inside(row[column])
        name = _as_name(row[column])
        match column:
            case "stem":
                return self._find_sidecar(name, row)
            case "digest":
                return self._by("digest").get(name.lower().removeprefix("sha256:"))
            case "key":
                return self._find_name(name)
            case "index":
                return self._by("index").get(name)
        return self._find_path(name)

    def digest(self, position: int) -> str:
        """The digest of an image that was found."""
        return self._digests[position]

    def _file(self, position: int) -> str:
        path = self._location(position)
        return os.path.abspath(path) if path else ""

    def _by(self, column: str) -> dict[str, int]:
        """The positions of images by what a column holds; made when it is first asked for."""
        if column not in self._positions:
            self._positions[column] = {name: index for index, name in enumerate(self._names[column]()) if name}
        return self._positions[column]

    def _find_inside(self, image: dict[str, Any] | bytes) -> int | None:
        """An image as data sets in Parquet hold it: its bytes, its path or both."""
        data, path = (image, None) if isinstance(image, bytes) else (image.get("bytes"), image.get("path"))
        found = self._by("digest").get(hashlib.sha256(data).hexdigest()) if isinstance(data, bytes) else None
        return self._find_path(str(path)) if found is None and path else found

    def _find_path(self, path: str) -> int | None:
        if path in self._by("key"):
            return self._by("key")[path]
        place = find_file(self._folder, path) if "\0" not in path else path
        if place in self._by("file"):
            return self._by("file")[place]
        is_another = bool(self._by("file")) and os.path.exists(place)
        if is_another:
            return None
        return self._find_name(path)

    def _find_name(self, name: str) -> int | None:
        """By the key, in another spelling if need be, or by the end of a single one; then as an address, or a stem."""
        if name in self._by("key"):
            return self._by("key")[name]
        for spelling in dict.fromkeys((name, _leave_web(name))):
            for find in (self._find_spelling, self._find_suffix):
                if (found := find(spelling)) is not None:
                    return found
        return self._find_stem(name)

    def _find_stem(self, name: str) -> int | None:
        """The single image that has this name but for the suffix of its file, which one of the two lacks."""
        stem, suffix = _split_suffix(_spell(name))
        alike = self._by_bare.get(stem.rpartition("/")[2], ())
        keys = ((index, *_split_suffix(_spell(self._keys[index]))) for index in alike)
        found = [index for index, own, end in keys if bool(end) != bool(suffix) and _ends_alike(own, stem)]
        return found[0] if len(found) == 1 else None

    def _find_spelling(self, name: str) -> int | None:
        found = self._by_spelling.get(_spell(name), ())
        return found[0] if len(found) == 1 else None

    def _find_suffix(self, path: str) -> int | None:
        spelt = _spell(path)
        alike = self._by_name.get(spelt.rpartition("/")[2], ())
        found = [i for i in alike if _ends_alike(_spell(self._keys[i]), spelt)]
        if len(found) > 1:  # Two that are written alike, such as in two Unicode forms: each letter as it is.
            found = [i for i in found if _ends_alike(self._keys[i], path)]
        return found[0] if len(found) == 1 else None

    def _find_sidecar(self, stem: str, row: Row) -> int | None:
        """By the file beside it, else by the key, else by the end of the path; `cat.jpg.txt` is about `cat.jpg`."""
        whole = self._find_path(stem)
        if whole is not None:
            return whole
        stem = _spell(stem)
        beside = os.path.join(_spell(self._folder), stem)
        alike = self._by_stem.get(stem.rpartition("/")[2], ())
        found = [i for i in alike if _spell(os.path.splitext(self._file(i))[0]) == beside]
        found = found or [i for i in alike if _spell(os.path.splitext(self._keys[i])[0]) == stem]
        if len(found) > 1:
            names = " and ".join(self._keys[i] for i in found)
            raise DescriptionError(
                f"{row.place} may be about any of {names}; write the image's whole name, such as "
                f"{os.path.basename(self._keys[found[0]])}.txt"
            )
        found = found or [i for i in alike if _ends_alike(_spell(os.path.splitext(self._keys[i])[0]), stem)]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_spelling(self) -> dict[str, list[int]]:
        return _positions(map(_spell, self._keys))

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        return _positions(_spell(key).rpartition("/")[2] for key in self._keys)

    @cached_property
    def _by_bare(self) -> dict[str, list[int]]:
        return _positions(_split_suffix(_spell(key))[0].rpartition("/")[2] for key in self._keys)

    @cached_property
    def _by_stem(self) -> dict[str, list[int]]:
        return _positions(_spell(os.path.splitext(key)[0]).rpartition("/")[2] for key in self._keys)


def _positions(names: Iterable[str]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        positions[name].append(index)
    return positions


def _is_given(value: Any) -> bool:
    """Tables with gaps have NaN in a cell without a name. Images in a row are not written out to know that."""
    if isinstance(value, float):
        return not math.isnan(value)
    return value is not None and not (isinstance(value, str) and value.strip().lower() in ("", "none", "nan"))


def _as_name(value: Any) -> str:
    """A table with gaps makes the index 60 to 60.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _split_suffix(name: str) -> tuple[str, str]:
    """The name without the suffix of an image, and this."""
    stem, suffix = os.path.splitext(name)
    return (stem, suffix) if suffix.lower() in image_suffixes() else (name, "")


def _leave_web(name: str) -> str:
    """The name without what addresses add: `a%20b.jpg?w=200#0` is about `a b.jpg`."""
    return unquote(re.split("[?#]", name, maxsplit=1)[0])


def _spell(name: str) -> str:
    """One spelling for all that a name may have on its way through archives, tables and other systems."""
    return normalize("NFC", escape_name(name.strip())).replace("\\", "/").removeprefix("./")


def _ends_alike(key: str, path: str) -> bool:
    return f"/{key}".endswith(f"/{path}") or f"/{path}".endswith(f"/{key}")

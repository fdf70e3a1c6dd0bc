"""Finds the image that a row of somebody's file is about."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from gpt4image.describe.replay.rows import Row

PATH_COLUMNS = ("path", "file_name", "image")
COLUMNS = ("digest", "key", *PATH_COLUMNS, "index")
"""Columns that name an image; a side-car's name without its end is the `stem`."""


class ImageMatcher:
    """Matches rows to images by `digest`, `key`, `path`/`file_name`/`image` or `index`, the first column that is there.

    A path matches a key, the file itself when taken relative to `folder`, or the one image whose path ends like it;
    the path of a file that is there and is none of the images matches nothing. An index matches keys such as
    `train/60`.
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
        self._keys, self._digests, self._folder = keys, digests, folder
        self._names: dict[str, Iterable[str]] = {
            "digest": digests,
            "key": keys,
            "index": (key.rpartition("/")[2] for key in keys),
            "stem": (os.path.splitext(key)[0] for key in keys),
            "file": (os.path.abspath(path) if (path := location(index)) else "" for index in range(len(keys))),
        }
        self._positions: dict[str, dict[str, int]] = {}

    def find(self, row: Row) -> int | None:
        """The position of the row's image in the image set, or None."""
        column = next((name for name in (*COLUMNS, "stem") if row.get(name) not in (None, "")), None)
        if column is None:
            return None
        name = str(row[column])
        if column in PATH_COLUMNS:
            return self._find_path(name.replace(os.sep, "/"))
        return self._by(column).get(name.removeprefix("sha256:") if column == "digest" else name)

    def digest(self, position: int) -> str:
        """The digest of an image that was found."""
        return self._digests[position]

    def _by(self, column: str) -> dict[str, int]:
        """The positions of images by what a column holds; made when it is first asked for."""
        if column not in self._positions:
            self._positions[column] = {name: index for index, name in enumerate(self._names[column]) if name}
        return self._positions[column]

    def _find_path(self, path: str) -> int | None:
        if path in self._by("key"):
            return self._by("key")[path]
        place = os.path.normpath(os.path.join(os.path.abspath(self._folder), path))
        if place in self._by("file"):
            return self._by("file")[place]
        is_another = bool(self._by("file")) and os.path.exists(place)
        return None if is_another else self._find_suffix(path)

    def _find_suffix(self, path: str) -> int | None:
        alike = self._by_name.get(path.rpartition("/")[2], ())
        found = [i for i in alike if _ends_alike(self._keys[i], path.removeprefix("./"))]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        names: dict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(self._keys):
            names[key.rpartition("/")[2]].append(index)
        return names


def _ends_alike(key: str, path: str) -> bool:
    return f"/{key}".endswith(f"/{path}") or f"/{path}".endswith(f"/{key}")

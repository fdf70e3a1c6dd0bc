"""Finds the image that a row of somebody's file is about."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
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
        self._keys, self._digests, self._folder, self._location = keys, digests, folder, location

    def find(self, row: Row) -> int | None:
        """The position of the row's image in the image set, or None."""
        if row.get("digest"):
            return self._by_digest.get(str(row["digest"]).removeprefix("sha256:"))
        if row.get("key"):
            return self._by_key.get(str(row["key"]))
        for column in PATH_COLUMNS:
            if row.get(column):
                return self._find_path(str(row[column]).replace(os.sep, "/"))
        if row.get("index") not in (None, ""):
            return self._by_number.get(str(row["index"]))
        if row.get("stem"):
            return self._by_stem.get(str(row["stem"]))
        return None

    def digest(self, position: int) -> str:
        """The digest of an image that was found."""
        return self._digests[position]

    def _find_path(self, path: str) -> int | None:
        if path in self._by_key:
            return self._by_key[path]
        place = os.path.normpath(os.path.join(os.path.abspath(self._folder), path))
        if place in self._by_location:
            return self._by_location[place]
        is_another = bool(self._by_location) and os.path.exists(place)
        return None if is_another else self._find_suffix(path)

    def _find_suffix(self, path: str) -> int | None:
        name = path.rpartition("/")[2]
        found = [i for i in self._by_name.get(name, ()) if _ends_alike(self._keys[i], path.removeprefix("./"))]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_digest(self) -> dict[str, int]:
        return {digest: index for index, digest in enumerate(self._digests) if digest}

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {key: index for index, key in enumerate(self._keys)}

    @cached_property
    def _by_number(self) -> dict[str, int]:
        return {key.rpartition("/")[2]: index for index, key in enumerate(self._keys)}

    @cached_property
    def _by_stem(self) -> dict[str, int]:
        return {os.path.splitext(key)[0]: index for index, key in enumerate(self._keys)}

    @cached_property
    def _by_location(self) -> dict[str, int]:
        locations = ((self._location(index), index) for index in range(len(self._keys)))
        return {os.path.abspath(path): index for path, index in locations if path is not None}

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        names: dict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(self._keys):
            names[key.rpartition("/")[2]].append(index)
        return names


def _ends_alike(key: str, path: str) -> bool:
    return f"/{key}".endswith(f"/{path}") or f"/{path}".endswith(f"/{key}")

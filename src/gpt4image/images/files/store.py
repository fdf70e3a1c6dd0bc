"""Reads images that are files of their own."""

import os
from collections.abc import Sequence
from pathlib import Path

from gpt4image.images.files.names import escape_name, find_file
from gpt4image.images.image_set import ImageStore, Stamp, gone


class FileStore(ImageStore):
    """Images that are files of their own.

    Args:
        root: the folder that the names are relative to.
        names: their names, as the file system or a list has them.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root, self.names = os.path.abspath(root), names

    def read_bytes(self, position: int) -> bytes:
        path = self.path(position)
        # Of a named pipe or a device there may be no end.
        if os.path.lexists(path) and os.path.exists(path) and not os.path.isfile(path):
            raise OSError("is no regular file")
        with open(path, "rb") as file:
            return file.read()

    def location(self, position: int) -> Path | None:
        return Path(self.path(position))

    def stamp(self, position: int) -> Stamp | None:
        path = self.path(position)
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return gone(escape_name(path))
        return escape_name(path), status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns

    def path(self, position: int) -> str:
        """The file's absolute path."""
        return find_file(self.root, self.names[position])

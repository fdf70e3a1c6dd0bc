"""Image sets in folders: one sub-folder a class, in torchvision's ImageFolder order."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from gpt4image.errors import ImageSetError
from gpt4image.images.image_set import UNLABELLED, ImageSet, Stamp, decode_file

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The file names that torchvision's ImageFolder takes for images."""
UNLABELLED_FOLDER = "_unlabelled"


class FileStore:
    """Images that are files of their own."""

    def __init__(self, root: Path, names: list[str]) -> None:
        self.root, self.names = os.path.abspath(root), names

    def read_bytes(self, position: int) -> bytes:
        with open(self._path(position), "rb") as file:
            return file.read()

    def decode(self, data: bytes, draft_size: tuple[int, int] | None) -> Image.Image:
        return decode_file(data, draft_size)

    def location(self, position: int) -> Path | None:
        return Path(self._path(position))

    def stamp(self, position: int) -> Stamp | None:
        path = self._path(position)
        try:
            status = os.stat(path)
        except OSError:
            return path, -1, 0
        return path, status.st_size, status.st_mtime_ns

    def _path(self, position: int) -> str:
        return os.path.normpath(os.path.join(self.root, self.names[position]))


def open_folder(source: str, root: Path) -> ImageSet:
    """Opens a folder. Sub-folders are the classes, sorted by name; images may lie deeper inside them.

    Deviations from ImageFolder: folders whose name starts with a dot are passed over, the images in
    `_unlabelled` have no label, and a folder without sub-folders is a set of unlabelled images.

    Raises:
        ImageSetError: images lie beside the class folders, where they would have no class.
    """
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    loose = _image_names(root, "", recursive=False)
    if not folders:
        labels = np.full(len(loose), UNLABELLED, dtype=np.int64)
        return ImageSet(source, loose, labels, (), FileStore(root, loose), np.arange(len(loose)))
    if loose:
        raise ImageSetError(
            f"{source} has {len(loose)} images beside its class folders (such as {loose[0]}); "
            f"move them into a class folder, or into {UNLABELLED_FOLDER} if they have no label"
        )
    classes = tuple(name for name in folders if name != UNLABELLED_FOLDER)
    keys: list[str] = []
    labels_list: list[int] = []
    for name in folders:
        found = _image_names(root, name, recursive=True)
        keys += found
        labels_list += [classes.index(name) if name != UNLABELLED_FOLDER else UNLABELLED] * len(found)
    labels = np.array(labels_list, dtype=np.int64)
    return ImageSet(source, keys, labels, classes, FileStore(root, keys), np.arange(len(keys)))


def _image_names(root: Path, folder: str, recursive: bool) -> list[str]:
    """Sorted names of the images in `root/folder`, relative to `root`, with forward slashes."""
    names: list[str] = []
    folders = [folder]
    while folders:
        current = folders.pop()
        for entry in os.scandir(root / current):
            name = f"{current}/{entry.name}" if current else entry.name
            if entry.is_dir():
                if recursive:
                    folders.append(name)
            elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                names.append(name)
    return sorted(names)

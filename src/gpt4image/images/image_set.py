"""The one form in which every stage sees images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images.decoding.decode import decode_file, to_upright_rgb
from gpt4image.images.remarks import Remarks, enumerate_names

Stamp = tuple[str, int, int, int, int]
"""Name, size in bytes, time of the last change in ns, inode, and time of the inode's last change in ns.

While they stay, the bytes do: files that swap their names keep size and time, but not the rest. The size is -1 of what
is gone.
"""
UNLABELLED = -1
"""The label of an image that is only described."""


def gone(name: str) -> Stamp:
    """The stamp of a file that is not there."""
    return name, -1, 0, 0, 0


class ImageStore:
    """Gives the bytes of an image by its position in the store."""

    def read_bytes(self, position: int) -> bytes:
        """The bytes whose SHA-256 is the image's digest."""
        raise NotImplementedError

    def decode(self, data: bytes, draft_size: tuple[int, int] | None) -> Image.Image:
        """Decodes what `read_bytes` gave; may scale down by a power of two, never below `draft_size`."""
        return decode_file(data, draft_size)

    def location(self, position: int) -> Path | None:
        """The file of the image, if it has one of its own."""
        return None

    def stamp(self, position: int) -> Stamp | None:
        """What tells whether the image has changed; None if reading it is as quick."""
        return None


@dataclass(frozen=True)
class ImageSet:
    """Images, labelled or only to be described.

    Attributes:
        source: what `open_images` was given.
        keys: one unique name an image: its relative path or the data set's id.
        labels: int64 [N], index into `classes`, or `UNLABELLED`.
        classes: class names in label order.
        store: where the bytes are.
        positions: int64 [N], position of each image in `store`.
        columns: further columns of an image list, each with N values; prompts may use them.
        remarks: what was left out, and what looks like a mistake.
    """

    source: str
    keys: Sequence[str]
    labels: np.ndarray
    classes: tuple[str, ...]
    store: ImageStore
    positions: np.ndarray
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)

    def __len__(self) -> int:
        return len(self.keys)

    def read_bytes(self, index: int) -> bytes:
        """The stored bytes of one image.

        Raises:
            UnreadableImageError: the bytes cannot be read.
        """
        try:
            return self.store.read_bytes(int(self.positions[index]))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UnreadableImageError(f"{self.keys[index]}: {reason}") from error

    def decode(self, index: int, data: bytes | None = None, draft_size: tuple[int, int] | None = None) -> Image.Image:
        """One image as RGB, turned upright as its EXIF orientation says.

        Args:
            index: which image.
            data: its bytes if already read.
            draft_size: (width, height) that is enough; JPEGs are then decoded at a reduced scale.

        Raises:
            UnreadableImageError: the bytes are no complete image.
        """
        data = self.read_bytes(index) if data is None else data
        try:
            image = self.store.decode(data, draft_size)
            image.load()
            return to_upright_rgb(image)
        # The decoders of some forty formats raise what they like: RuntimeError, struct.error, NotImplementedError.
        except Exception as error:
            is_none = isinstance(error, UnidentifiedImageError)  # Its words hold an address of this process.
            what = "is empty" if not data else "is no image that can be decoded" if is_none else error
            raise UnreadableImageError(f"{self.keys[index]}: {what or type(error).__name__}") from error

    def location(self, index: int) -> Path | None:
        """The file of the image, if it has one of its own."""
        return self.store.location(int(self.positions[index]))

    def stamp(self, index: int) -> Stamp | None:
        """What tells whether an image has changed; None if reading it is as quick."""
        return self.store.stamp(int(self.positions[index]))

    def class_name(self, index: int) -> str | None:
        """The class of one image, None if it is unlabelled."""
        label = int(self.labels[index])
        return None if label == UNLABELLED else self.classes[label]

    def subset(self, indices: np.ndarray) -> "ImageSet":
        """The images at `indices` (int64), in that order, with the same classes."""
        return replace(
            self,
            keys=[self.keys[i] for i in indices],
            labels=self.labels[indices],
            positions=self.positions[indices],
            columns={name: [values[i] for i in indices] for name, values in self.columns.items()},
        )

    def with_labels(self, labels: np.ndarray) -> "ImageSet":
        """The same images with other labels (int64 [N])."""
        return replace(self, labels=labels.astype(np.int64))

    def with_classes(self, classes: Sequence[str]) -> "ImageSet":
        """The same images with labels numbered as in `classes`.

        Raises:
            ImageSetError: an image has a class that `classes` does not name.
        """
        if tuple(classes) == self.classes:
            return self
        used = {self.classes[label] for label in np.unique(self.labels) if label != UNLABELLED}
        unknown = sorted(used - set(classes))
        if unknown:
            raise ImageSetError(
                f"{self.source} has images of {enumerate_names(list(map(repr, unknown)))}, but the classes are "
                f"{enumerate_names(list(map(repr, classes)))}; rename the classes or leave these images out"
            )
        position = {name: number for number, name in enumerate(classes)}
        table = np.array([position.get(name, UNLABELLED) for name in self.classes] + [UNLABELLED], dtype=np.int64)
        return replace(self, labels=table[self.labels], classes=tuple(classes))

"""Images found again by digest, and made small enough for a page."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gpt4image.describe.endpoint.payload import to_data_url
from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images import ImageSet, open_images, scan_images
from gpt4image.images.open import divide_source

MIN_SIDE = 112
"""Tiny images (28 pixels) are enlarged in whole steps, so that their pixels stay sharp."""


@dataclass(frozen=True)
class Pictures:
    """An image set with a way from digest to image."""

    images: ImageSet
    index: dict[str, int]

    def subset(self, digests: Sequence[str]) -> ImageSet:
        """The images with these digests, in that order; all must be there."""
        return self.images.subset(np.array([self.index[digest] for digest in digests], dtype=np.int64))

    def jpeg(self, digest: str, side: int, quality: int = 80) -> bytes | None:
        """The bytes of a thumbnail, None if the image is gone."""
        try:
            return encode_jpeg(self.images.decode(self.index[digest], draft_size=(side, side)), side, quality)
        except (UnreadableImageError, KeyError):
            return None

    def thumbnail(self, digest: str, side: int = 160) -> str | None:
        """A `data:` URL, None if the image is gone."""
        encoded = self.jpeg(digest, side)
        return None if encoded is None else to_data_url(encoded)

    def key(self, digest: str) -> str:
        """The image's name."""
        return self.images.keys[self.index[digest]] if digest in self.index else ""

    def class_name(self, digest: str) -> str:
        """The image's class, empty if it has none."""
        return (self.images.class_name(self.index[digest]) if digest in self.index else None) or ""


def locate(path: str, folder: Path) -> Path | None:
    """A path that a run remembers: absolute, or relative to the working folder or to a folder around the comparison,
    or within a comparison that has been moved since; None if it is empty or nothing is there."""
    if not path:
        return None
    places = [Path(path), *(parent / path for parent in (folder.resolve(), *folder.resolve().parents[:3]))]
    parts = Path(path).parts
    places += [folder.joinpath(*parts[start:]) for start in range(1, len(parts) - 1)]
    return next((place for place in places if place.exists()), None)


def open_pictures(source: str, folder: Path) -> Pictures | None:
    """Opens an image set as a run remembers it; None if it is gone.

    Args:
        source: as given to `open_images`.
        folder: the comparison, for relative paths.
    """
    if ":" not in source.partition("?")[0]:
        name, condition = divide_source(source, lambda name: locate(name, folder) is not None)
        place = locate(name, folder)
        if place is None:
            return None
        source = f"{place}?{condition}" if condition else str(place)
    try:
        return index_pictures(open_images(source))
    except ImageSetError:
        return None


def index_pictures(images: ImageSet) -> Pictures:
    """Finds the digest of every readable image.

    Raises:
        ImageSetError: none can be read.
    """
    scan = scan_images(images)
    return Pictures(images, {digest: i for i, digest in enumerate(scan.digests) if scan.readable[i]})


def make_thumbnail(image: Image.Image, side: int = 160) -> Image.Image:
    """The image with its longer side at most `side` pixels, whole."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    factor = MIN_SIDE // max(small.size)
    if factor >= 2:
        return small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
    return small


def encode_jpeg(image: Image.Image, side: int, quality: int = 80) -> bytes:
    """The thumbnail as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    make_thumbnail(image, side).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()

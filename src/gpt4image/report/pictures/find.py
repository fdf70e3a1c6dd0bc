"""Finds images again by digest, to show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images import ImageSet
from gpt4image.report.inside.training_texts import locate
from gpt4image.report.pictures.thumbnails import as_data_url


@dataclass(frozen=True)
class Pictures:
    """An image set with a way from digest to image."""

    images: ImageSet
    index: dict[str, int]

    def subset(self, digests: Sequence[str]) -> ImageSet:
        """The images with these digests, in that order; all must be there."""
        import numpy as np

        return self.images.subset(np.array([self.index[digest] for digest in digests], dtype=np.int64))

    def thumbnail(self, digest: str, side: int = 160) -> str | None:
        """A `data:` URL, None if the image is gone."""
        try:
            return as_data_url(self.images.decode(self.index[digest]), side) if digest in self.index else None
        except UnreadableImageError:
            return None

    def key(self, digest: str) -> str:
        """The image's name."""
        return self.images.keys[self.index[digest]] if digest in self.index else ""

    def class_name(self, digest: str) -> str:
        """The image's class, empty if it has none."""
        return (self.images.class_name(self.index[digest]) if digest in self.index else None) or ""


def open_pictures(source: str, folder: Path) -> Pictures | None:
    """Opens an image set as a run remembers it; None if it is gone.

    Args:
        source: as given to `open_images`.
        folder: the comparison, for relative paths.
    """
    from gpt4image.images.open import divide_source, open_images

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
    from gpt4image.images import scan_images

    scan = scan_images(images)
    return Pictures(images, {digest: i for i, digest in enumerate(scan.digests) if scan.readable[i]})

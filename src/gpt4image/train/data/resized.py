"""Smaller copies of the images on disk: made when an image is first read, read instead from then on."""

import hashlib
import io
from pathlib import Path

from PIL import Image

from gpt4image.files import atomic_path
from gpt4image.images import ImageSet
from gpt4image.train.data.crop import CropReader

QUALITY = 92
MARGIN = 1.5
"""Shorter side of a copy, as a multiple of the input; crops below 1 / MARGIN^2 of an image are enlarged."""


class ResizedReader:
    """Reads random crops from copies whose shorter side is at most `MARGIN` times the model's input.

    A copy is named after the original's stamp (name, size and time), so a changed image gets a new one.

    Args:
        reader: cuts the crops.
        folder: where the copies are; may be shared by runs, also at the same time.
    """

    def __init__(self, reader: CropReader, folder: Path) -> None:
        self.reader, self.folder = reader, folder
        self.side = round(MARGIN * max(reader.crop.size))

    def read(self, images: ImageSet, index: int) -> Image.Image:
        """A random crop of one image."""
        return self.reader.read(images, index, self._read_copy(images, index))

    def _read_copy(self, images: ImageSet, index: int) -> bytes:
        name = "\n".join(map(str, (*(images.stamp(index) or ()), self.side)))
        digest = hashlib.sha256(name.encode()).hexdigest()
        path = self.folder / digest[:2] / f"{digest}.jpg"
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.write_bytes(self._shrink(images, index))
        return path.read_bytes()

    def _shrink(self, images: ImageSet, index: int) -> bytes:
        image = images.decode(index, draft_size=(2 * self.side, 2 * self.side))
        scale = self.side / min(image.size)
        if scale < 1:
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
        return buffer.getvalue()

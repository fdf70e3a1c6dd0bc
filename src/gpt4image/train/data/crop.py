"""Two ways to read an image for a random crop: whole and kept in memory, or only as large as the crop needs it."""

from typing import Any

import torch
from PIL import Image

from gpt4image.errors import UnreadableImageError
from gpt4image.images import ImageSet
from gpt4image.images.decoding.decode import open_file, read_orientation

START_OF_JPEG = b"\xff\xd8"


class WholeReader:
    """Reads whole images and keeps them while there is room: small sets are decoded once.

    Args:
        draft_size: (width, height) that is enough for every crop; larger JPEGs are decoded at a reduced scale.
        room_bytes: memory for decoded images.
    """

    def __init__(self, draft_size: tuple[int, int] | None, room_bytes: int) -> None:
        self.draft_size, self._room_bytes = draft_size, room_bytes
        self._kept: dict[int, Image.Image] = {}

    def read(self, images: ImageSet, index: int) -> Image.Image:
        """A whole image."""
        if index in self._kept:
            return self._kept[index]
        image = images.decode(index, draft_size=self.draft_size)
        size_bytes = image.width * image.height * 3
        if size_bytes <= self._room_bytes:
            self._kept[index] = image
            self._room_bytes -= size_bytes
        return image


class CropReader:
    """Reads a random crop at the model's size; the crop is drawn before the image is decoded.

    timm's RandomResizedCropAndInterpolation draws it from the image's full size, so its distribution is the usual
    one; a JPEG is then decoded at 1/2, 1/4 or 1/8 if the crop still has as many pixels as the model takes.

    Args:
        crop: timm's transform; gives size, scale, ratio and interpolation.
    """

    def __init__(self, crop: Any) -> None:
        self.crop = crop

    def read(self, images: ImageSet, index: int, data: bytes | None = None) -> Image.Image:
        """A random crop of one image, or of `data` in its place."""
        data = images.read_bytes(index) if data is None else data
        # Only a JPEG gains by a size known before: others are decoded whole, and may turn while they are.
        whole = None if data.startswith(START_OF_JPEG) else images.decode(index, data)
        width, height = _read_jpeg_size(images, index, data) if whole is None else whole.size
        # The draw looks at the size only, and takes it from a tensor of that shape that holds one number.
        shape = torch.empty(1).expand(1, height, width)
        top, left, crop_height, crop_width = self.crop.get_params(shape, self.crop.scale, self.crop.ratio)
        out_height, out_width = self.crop.size
        scale = min(crop_width / out_width, crop_height / out_height)
        needed = (int(width / scale), int(height / scale)) if scale > 1 else None
        image = images.decode(index, data, draft_size=needed) if whole is None else whole
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, (left + crop_width) * across, (top + crop_height) * down)
        box = (box[0], box[1], min(box[2], image.width), min(box[3], image.height))
        return image.resize((out_width, out_height), Image.Resampling[self.crop.interpolation.value.upper()], box=box)


Reader = WholeReader | CropReader
"""What is random about reading is drawn from Python's global generator."""


def _read_jpeg_size(images: ImageSet, index: int, data: bytes) -> tuple[int, int]:
    """Width and height of the upright image, from the head of the file."""
    try:
        with open_file(data) as image:
            # The orientations from 5 on turn the image by a quarter.
            turned = read_orientation(image) >= 5
            return (image.height, image.width) if turned else image.size
    except Exception as error:  # Decoders raise what they like.
        raise UnreadableImageError(f"{images.keys[index]}: {error}") from error

"""The image as it is sent: JPEG, no larger than asked, upright, without any metadata."""

import base64
import io

from PIL import Image

from gpt4image.images import ImageSet
from gpt4image.images.decoding.decode import open_file

QUALITY = 90
START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN = 0xDA
APP0, APP14, APP15, COMMENT = 0xE0, 0xEE, 0xEF, 0xFE
SMALLEST_SIDE = 16
JFIF_LENGTH = 16
"""Length of a JFIF segment without a thumbnail."""


def encode_image(images: ImageSet, index: int, max_side: int) -> bytes:
    """One image as JPEG bytes.

    A JPEG that is small enough and upright keeps its pixels: only its metadata is cut out. Small images
    are not enlarged.

    Raises:
        UnreadableImageError: the image cannot be read or decoded.
    """
    data = images.read_bytes(index)
    stripped = _strip_small_jpeg(data, max_side)
    if stripped is not None:
        return stripped
    return encode_jpeg(images.decode(index, data, (max_side, max_side)), max_side)


def encode_jpeg(image: Image.Image, max_side: int) -> bytes:
    """An RGB image as JPEG bytes without metadata, scaled down to `max_side` pixels if it is larger."""
    image.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, exif=b"", icc_profile=None, comment=b"")
    return buffer.getvalue()


def encode_data_url(images: ImageSet, index: int, max_side: int) -> str:
    """One image as `encode_image` makes it, as chat endpoints take images."""
    return to_data_url(encode_image(images, index, max_side))


def encode_half(images: ImageSet, index: int, max_side: int) -> str | None:
    """One image at half the size that `encode_data_url` sends it in; None if that would be too small to see anything.

    Raises:
        UnreadableImageError: the image cannot be read or decoded.
    """
    image = images.decode(index, None, (max_side, max_side))
    side = min(max(image.size), max_side) // 2
    return to_data_url(encode_jpeg(image, side)) if side >= SMALLEST_SIDE else None


def to_data_url(jpeg: bytes) -> str:
    """The bytes as chat endpoints take images."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _strip_small_jpeg(data: bytes, max_side: int) -> bytes | None:
    """The JPEG without its metadata, None if it must be decoded after all."""
    if not data.startswith(START_OF_IMAGE):
        return None
    with open_file(data) as header:
        is_plain = header.mode in ("RGB", "L") and not {"icc_profile", "progressive"} & header.info.keys()
        if not is_plain or max(header.size) > max_side or header.getexif().get(0x0112, 1) != 1:
            return None
    return strip_metadata(data)


def strip_metadata(data: bytes) -> bytes | None:
    """Cuts metadata segments, and all that follows the image, out of a baseline JPEG.

    Returns:
        None if the segments are not as the standard (ITU T.81, annex B) has them.
    """
    parts, position = [START_OF_IMAGE], 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == START_OF_SCAN:
            end = data.find(END_OF_IMAGE, position)
            return None if end < 0 else b"".join(parts) + data[position : end + 2]
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if not _is_metadata(marker, length):
            parts.append(data[position : position + 2 + length])
        position += 2 + length
    return None


def _is_metadata(marker: int, length: int) -> bool:
    """Everything in APPn and comments but JFIF's density and Adobe's colour transform."""
    if marker == APP0:
        return length != JFIF_LENGTH
    return marker == COMMENT or (APP0 < marker <= APP15 and marker != APP14)

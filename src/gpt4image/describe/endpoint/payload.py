"""The image as it is sent: JPEG, no larger than asked, upright, without any metadata."""

import base64
import io
import re

from PIL import Image

from gpt4image.images import ImageSet
from gpt4image.images.decoding.decode import open_file

QUALITY = 90
START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN = 0xDA
SMALLEST_SIDE = 16
NEEDED = frozenset((0xC0, 0xC1, 0xC4, START_OF_SCAN, 0xDB, 0xDD))
"""Frame, Huffman tables, scan, quantisation tables, restart interval."""
KNOWN = {0xE0: (16, b"JFIF\0"), 0xEE: (14, b"Adobe")}
"""Length and first bytes of JFIF's density without a thumbnail, and of Adobe's colour transform."""
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""The next segment after a scan: neither a stuffed byte nor a restart."""


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
    try:
        with open_file(data) as header:
            is_plain = header.mode in ("RGB", "L") and not {"icc_profile", "progressive"} & header.info.keys()
            if not is_plain or max(header.size) > max_side or header.getexif().get(0x0112, 1) != 1:
                return None
    except Exception:  # What decoders raise; decoding says what is wrong.
        return None
    return strip_metadata(data)


def strip_metadata(data: bytes) -> bytes | None:
    """Keeps of a baseline JPEG what a decoder needs, and nothing else: no metadata, comments or unknown segments.

    Returns:
        None if the segments are not as the standard (ITU T.81, annex B) has them.
    """
    parts, position = [START_OF_IMAGE], 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if data[position : position + 2] == END_OF_IMAGE:
            return b"".join([*parts, END_OF_IMAGE])
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == START_OF_SCAN:
            next_marker = MARKER.search(data, end)
            if next_marker is None:
                return None
            end = next_marker.start()
        length, start = KNOWN.get(marker, (0, b""))
        is_known = length == end - position - 2 and data.startswith(start, position + 4)
        if marker in NEEDED or is_known:
            parts.append(data[position:end])
        position = end
    is_complete = data[position : position + 2] == END_OF_IMAGE and len(parts) > 1
    return b"".join([*parts, END_OF_IMAGE]) if is_complete else None

"""Images made small enough to stand inside a page."""

import base64
import io

from PIL import Image

MIN_SIDE = 112
"""Tiny images (28 pixels) are enlarged in whole steps, so that their pixels stay sharp."""


def make_thumbnail(image: Image.Image, side: int = 160) -> Image.Image:
    """The image with its longer side at most `side` pixels, whole."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    factor = MIN_SIDE // max(small.size)
    if factor >= 2:
        return small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
    return small


def encode_jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """The bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def as_data_url(image: Image.Image, side: int = 160) -> str:
    """The thumbnail as a `data:` URL."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(make_thumbnail(image, side))).decode()

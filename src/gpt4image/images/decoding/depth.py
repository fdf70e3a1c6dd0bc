"""More than 8 bits a channel: one rule for what is black and what is white."""

from typing import Any

import numpy as np
from PIL import Image

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use, in 16 of the file."""
MIN_IS_WHITE, UNSIGNED = 0, 1
PHOTOMETRIC, SAMPLE_FORMAT = 262, 339
LOW_BYTES = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B"}
"""Read in the wrong byte order, a sample of 16 bits leaves its low byte."""
HIGHEST_DIM = (1 << 14 >> 8) - 1
"""The largest high byte if no sample needs more than 14 bits."""


def is_deep(image: Image.Image) -> bool:
    """Whether an image has one channel of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def to_eight_bits(image: Image.Image) -> Image.Image:
    """A deep grey image as mode L, or LA if one of its values stands for transparent."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode == "I" and tags and tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED:
        values = values.view(np.uint32)
    grey = scale_to_bytes(values)
    if tags.get(PHOTOMETRIC) == MIN_IS_WHITE:
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return Image.fromarray(grey)
    alpha = np.where(values == transparent, 0, 255).astype(np.uint8)
    return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))


def scale_to_bytes(values: np.ndarray) -> np.ndarray:
    """Numbers as bytes from black to white; what is no number is black.

    Numbers from 0 to at most 65,535 are light: black is 0, white the largest number of the fewest bits (8, 10, 12, 14
    or 16) that hold all of them, or 1 for fractions. Others, such as heights or temperatures, are stretched from
    their least to their largest.
    """
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size == 0:
        return np.zeros(values.shape, dtype=np.uint8)
    black, white = _find_range(float(finite.min()), float(finite.max()), values.dtype.kind == "f")
    scaled = (np.nan_to_num(values.astype(np.float64), nan=black, posinf=white, neginf=black) - black) / (white - black)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)


def _find_range(least: float, largest: float, is_fraction: bool) -> tuple[float, float]:
    if least < 0 or largest > (1 << 16) - 1:
        return least, max(largest, least + 1e-12 * max(1.0, abs(least)))
    # A little more than 1 is over-exposed or the overshoot of a filter, not a picture of 8 bits that is all but black.
    if is_fraction and largest <= 2:
        return 0.0, 1.0
    return 0.0, next((1 << bits) - 1.0 for bits in DEPTHS if largest < 1 << bits)


def brighten_dim_colours(image: Image.Image, again: Any) -> Image.Image:
    """A colour image whose samples use 14 or fewer of 16 bits, brightened by the rule above; others as they are.

    Args:
        image: the image, loaded: Pillow keeps the high byte of 16 bits.
        again: the same, opened but not loaded.
    """
    rawmode = _rawmode(again)
    if rawmode not in LOW_BYTES or max(high for _, high in image.getextrema()[:3]) > HIGHEST_DIM:  # type: ignore[misc]
        return image
    again.tile = [tile._replace(args=_with_rawmode(tile.args, LOW_BYTES[rawmode])) for tile in again.tile]
    again.load()
    high, low = (np.asarray(part)[:, :, :3].astype(np.uint16) for part in (image, again))
    bright = Image.fromarray(scale_to_bytes((high << 8) | low))
    if image.mode == "RGBA":
        bright.putalpha(image.getchannel("A"))
    bright.info = {name: value for name, value in image.info.items() if name == "transparency"}
    return bright


def _rawmode(image: Any) -> str:
    args = image.tile[0].args if getattr(image, "tile", None) else ""
    return str(args if isinstance(args, str) else args[0] if args else "")


def _with_rawmode(args: Any, rawmode: str) -> Any:
    return rawmode if isinstance(args, str) else type(args)((rawmode, *args[1:]))

"""Decodes image files into RGB: upright, 8 bits, transparent parts white, without metadata."""

import io

from PIL import ExifTags, Image, ImageOps

from gpt4image.images.decoding.depth import brighten_dim_colours, is_deep, to_eight_bits
from gpt4image.images.decoding.formats import decoded_formats

UPRIGHT = 1


def open_file(data: bytes) -> Image.Image:
    """Reads the head of an image file, of a format that Pillow decodes itself."""
    return Image.open(io.BytesIO(data), formats=decoded_formats())


def decode_file(data: bytes, draft_size: tuple[int, int] | None) -> Image.Image:
    """Decodes the bytes of an image file, JPEGs at a reduced scale if `draft_size` allows it."""
    image = open_file(data)
    if draft_size is not None:
        image.draft("RGB", draft_size)
    image.load()
    return brighten_dim_colours(image, open_file(data)) if image.format in ("PNG", "TIFF") else image


def read_orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; some programs write it as text. 1 if it is none of these."""
    value = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    try:
        orientation = int(str(value).strip("\0 "))
    except ValueError:
        return UPRIGHT
    return orientation if 1 <= orientation <= 8 else UPRIGHT


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """RGB without metadata (comments and profiles, too), upright; transparent parts become white."""
    orientation = read_orientation(image)
    if orientation != UPRIGHT:
        image.getexif()[ExifTags.Base.Orientation] = orientation
        image = ImageOps.exif_transpose(image)
    if is_deep(image):
        image = to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    image = image if image.mode == "RGB" else image.convert("RGB")
    # Whoever saves the picture would pass these on: a JPEG's comment, a profile's author.
    image.info = {}
    return image

"""One ramp from black to white, in every form with more than 8 bits a channel, is decoded to the same picture."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from gpt4image.images.decoding.decode import decode_file, to_upright_rgb
from gpt4image.images.decoding.depth import scale_to_bytes

WIDTH, HEIGHT = 64, 8
RAMP = np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1))
SEEN = np.rint(255 * RAMP)


def saved(values: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def whole(largest: int, dtype: type = np.uint16) -> np.ndarray:
    return np.rint(RAMP * largest).astype(dtype)


def png(values: np.ndarray, colour_type: int, transparent: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel [H, W, C], written by hand: Pillow writes none in colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *([chunk(b"tRNS", transparent)] if transparent else [])]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


def colours(largest: int, channels: int = 3) -> np.ndarray:
    values = np.repeat(whole(largest)[:, :, None], channels, axis=2)
    if channels == 4:
        values[:, :, 3] = 65535
    return values


def tiff(values: np.ndarray, photometric: int = 1, sample_format: int = 1, order: str = "<") -> bytes:
    """An uncompressed TIFF, written by hand, in either byte order."""
    values = values.reshape(HEIGHT, WIDTH, -1)
    channels, bits = values.shape[2], 8 * values.dtype.itemsize
    pixels = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = [(256, 3, WIDTH), (257, 3, HEIGHT), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8)]
    tags += [(277, 3, channels), (278, 3, HEIGHT), (279, 4, len(pixels)), (339, 3, sample_format)]
    place, after = 8 + len(pixels), b""
    rows = b""
    for tag, kind, value in tags:
        if channels > 1 and tag in (258, 339):
            offset = place + 2 + 12 * len(tags) + 4 + len(after)
            after += struct.pack(f"{order}{channels}H", *[value] * channels)
            rows += struct.pack(f"{order}HHII", tag, kind, channels, offset)
        else:
            packed = struct.pack(f"{order}{'H' if kind == 3 else 'I'}", value).ljust(4, b"\0")
            rows += struct.pack(f"{order}HHI", tag, kind, 1) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", place)
    return head + pixels + struct.pack(f"{order}H", len(tags)) + rows + bytes(4) + after


def pgm(largest: int) -> bytes:
    return f"P5 {WIDTH} {HEIGHT} {largest}\n".encode() + whole(largest).astype(">u2").tobytes()


FORMS: dict[str, Callable[[], bytes]] = {
    "8 bits": lambda: saved(whole(255, np.uint8), "PNG"),
    **{f"{bits} bits in 16": lambda bits=bits: saved(whole((1 << bits) - 1), "PNG") for bits in (8, 10, 12, 14, 16)},
    "16 bits, one of them transparent": lambda: png(whole(65535)[:, :, None], 0, struct.pack(">H", 65535)),
    "16 bits, grey with transparency": lambda: png(
        np.stack([whole(65535), np.full((HEIGHT, WIDTH), 65535, np.uint16)], axis=2), 4
    ),
    "16 bits, colour": lambda: png(colours(65535), 2),
    "12 bits in 16, colour": lambda: png(colours(4095), 2),
    "12 bits in 16, colour with transparency": lambda: png(colours(4095, 4), 6),
    "PGM of 16 bits": lambda: pgm(65535),
    "PGM of 12 bits": lambda: pgm(4095),
    "TIFF of 16 bits": lambda: tiff(whole(65535)),
    "TIFF of 16 bits, Motorola": lambda: tiff(whole(65535), order=">"),
    "TIFF of 12 in 16 bits": lambda: tiff(whole(4095)),
    "TIFF of 12 in 16 bits, packed": lambda: saved(whole(4095), "TIFF", compression="tiff_lzw"),
    "TIFF of 12 in 16 bits, colour": lambda: tiff(colours(4095), photometric=2),
    "TIFF of 12 in 16 bits, colour, Motorola": lambda: tiff(colours(4095), photometric=2, order=">"),
    "TIFF of 16 bits, 0 is white": lambda: tiff(65535 - whole(65535), photometric=0),
    "TIFF of 32 bits with 16 bits of light": lambda: tiff(whole(65535, np.uint32)),
    "TIFF of 32 bits": lambda: tiff(np.rint(RAMP * (2**32 - 1)).astype(np.uint32)),
    "TIFF of 32 bits with sign": lambda: tiff((whole(4000, np.int32) - 1000).astype(np.int32), sample_format=2),
    "TIFF of fractions": lambda: saved(RAMP.astype(np.float32), "TIFF"),
    "TIFF of fractions from 0 to 255": lambda: saved((255 * RAMP).astype(np.float32), "TIFF"),
    "TIFF of fractions from 0 to 65,535": lambda: saved((65535 * RAMP).astype(np.float32), "TIFF"),
    "TIFF of fractions from -1 to 1": lambda: saved((2 * RAMP - 1).astype(np.float32), "TIFF"),
    "PFM": lambda: f"Pf\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + RAMP.astype("<f4").tobytes(),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_ramp_in_every_form(form: str) -> None:
    image = to_upright_rgb(decode_file(FORMS[form](), None))
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
    seen = np.asarray(image, dtype=float)
    # Some of these forms keep the high byte of 16 bits, which is less than one step darker.
    assert abs(seen - SEEN[:, :, None]).max() <= 1


def test_what_stands_for_transparent_is_white() -> None:
    values = np.full((HEIGHT, WIDTH), 40_000, dtype=np.uint16)
    values[:, :10] = 7
    image = to_upright_rgb(decode_file(png(values[:, :, None], 0, struct.pack(">H", 7)), None))
    assert [image.getpixel((x, 0)) for x in (0, 20)] == [(255, 255, 255), (156, 156, 156)]


def test_colours_of_all_16_bits_are_those_of_pillow() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    data = png(values, 2)
    assert (np.asarray(to_upright_rgb(decode_file(data, None))) == np.asarray(Image.open(io.BytesIO(data)))).all()


def test_numbers_that_are_none() -> None:
    with np.errstate(invalid="raise"):
        assert scale_to_bytes(np.array([np.nan, 0.0, 1.0, np.inf], dtype=np.float32)).tolist() == [0, 0, 255, 255]
    assert scale_to_bytes(np.array([np.nan, np.nan])).tolist() == [0, 0]
    assert scale_to_bytes(np.array([-5.0, -5.0])).tolist() == [0, 0]
    assert scale_to_bytes(np.array([0, 0], dtype=np.uint16)).tolist() == [0, 0]


def test_a_rotated_tiff_is_turned_once() -> None:
    tags = ImageFileDirectory_v2()
    tags[274] = 6
    image = to_upright_rgb(decode_file(saved(whole(255, np.uint8), "TIFF", tiffinfo=tags), None))
    assert image.size == (HEIGHT, WIDTH)
    assert [image.getpixel((0, y))[0] for y in (0, WIDTH - 1)] == [0, 255]

"""Crops drawn before decoding are, in the statistics of place and pixels, those of timm's transform."""

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from timm.data.transforms import RandomResizedCropAndInterpolation

from gpt4image.images import open_images
from gpt4image.train.data.crop import CropReader, WholeReader

SIZE = 32


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A smooth JPEG of 480 x 320 whose red is the column and whose green is the row, upright and turned; a PNG."""
    columns, rows = np.meshgrid(np.linspace(0, 255, 480), np.linspace(0, 255, 320))
    pixels = np.stack([columns, rows, np.full_like(rows, 128)], axis=2).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    image = Image.fromarray(pixels)
    image.save(tmp_path / "photos" / "a.jpg", quality=95, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photos" / "b.jpg", quality=95, subsampling=0, exif=exif)
    image.save(tmp_path / "photos" / "c.png")
    return tmp_path / "photos"


def crop_of(scale: tuple[float, float]) -> RandomResizedCropAndInterpolation:
    return RandomResizedCropAndInterpolation(SIZE, scale=scale, interpolation="bicubic")


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.9, 1.0), (0.01, 0.02)])
def test_the_same_draw_gives_the_same_crop(photos: Path, index: int, scale: tuple[float, float]) -> None:
    images = open_images(str(photos))
    crop = crop_of(scale)
    for seed in range(10):
        random.seed(seed)
        fast = np.asarray(CropReader(crop).read(images, index), dtype=float)
        random.seed(seed)
        slow = np.asarray(crop(WholeReader(None, 0).read(images, index)), dtype=float)
        # The picture is a ramp of 255 grey values over 480 pixels: 4 of them are 8 pixels out of 480.
        assert abs(fast - slow).max() < 6
        assert abs(fast - slow).mean() < 1


def test_statistics_of_many_crops_agree(photos: Path) -> None:
    """Means over crops with different draws: where they lie, how large they are, how sharp they are."""
    images, crop = open_images(str(photos)), crop_of((0.08, 1.0))

    def statistics(read, seed: int) -> np.ndarray:
        random.seed(seed)
        crops = np.stack([np.asarray(read(), dtype=float) for _ in range(300)])
        centre, spread = crops.mean((1, 2))[:, :2], crops[:, -1, -1, :2] - crops[:, 0, 0, :2]
        return np.concatenate([centre.mean(0), centre.std(0), spread.mean(0), spread.std(0)])

    reader = CropReader(crop)
    fast = statistics(lambda: reader.read(images, 0), seed=0)
    slow = statistics(lambda: crop(WholeReader(None, 0).read(images, 0)), seed=1)
    # Centres have a standard deviation of about 40, so means of 300 one of 2.5.
    assert fast == pytest.approx(slow, abs=10)


def test_large_jpegs_are_decoded_at_a_reduced_scale(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = open_images(str(photos))
    sizes = []
    decode = type(images).decode

    def spy(self, index: int, data=None, draft_size=None):
        image = decode(self, index, data, draft_size)
        sizes.append(image.size)
        return image

    monkeypatch.setattr(type(images), "decode", spy)
    for scale, wanted in (((1.0, 1.0), (60, 40)), ((0.3, 0.3), (120, 80)), ((0.01, 0.01), (480, 320))):
        random.seed(0)
        CropReader(crop_of(scale)).read(images, 0)
        assert sizes[-1] == wanted


@pytest.mark.parametrize("orientation", [6, "6", "Rotate 90", 3])
@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "PNG", "WEBP"])
def test_crops_of_turned_images_in_any_format(tmp_path: Path, kind: str, orientation: int | str) -> None:
    """Also where the orientation is written as text, and where Pillow turns the image itself (TIFF)."""
    (tmp_path / "photos").mkdir()
    columns, rows = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 64))
    image = Image.fromarray(np.stack([columns, rows, np.full_like(rows, 128)], axis=2).astype(np.uint8))
    text = f"{orientation}\0".encode() if isinstance(orientation, str) else struct.pack("<H", orientation)
    size = len(text) if isinstance(orientation, str) else 1
    value = text.ljust(4, b"\0") if len(text) <= 4 else struct.pack("<I", 26)
    entry = struct.pack("<HHI", 0x0112, 2 if isinstance(orientation, str) else 3, size) + value
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4) + text
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[0x0112] = 2 if isinstance(orientation, str) else 3
    tags[0x0112] = orientation
    options = {"TIFF": {"tiffinfo": tags}, "PNG": {"exif": exif}}.get(kind, {"exif": exif, "quality": 95})
    image.save(tmp_path / "photos" / f"a.{kind.lower()}", kind, **options)
    images, crop = open_images(str(tmp_path / "photos")), crop_of((0.2, 0.5))
    assert images.decode(0).size == ((64, 96) if orientation in (6, "6") else (96, 64))
    for seed in range(5):
        random.seed(seed)
        fast = np.asarray(CropReader(crop).read(images, 0), dtype=float)
        random.seed(seed)
        slow = np.asarray(crop(WholeReader(None, 0).read(images, 0)), dtype=float)
        assert abs(fast - slow).mean() < 2

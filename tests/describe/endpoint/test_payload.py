import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gpt4image.describe.asking.selection import select_images
from gpt4image.describe.endpoint.payload import encode_image, strip_metadata
from gpt4image.images import open_images, scan_images

SECRET = b"secret place"


def save(folder: Path, name: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(folder / name, **options)


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112], found[0x010E] = orientation, SECRET.decode()
    return found


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("small.jpg", {"exif": exif(1), "comment": SECRET}, (60, 40)),
        ("turned.jpg", {"exif": exif(6)}, (40, 60)),
        ("grey.jpg", {"mode": "L", "exif": exif(1)}, (60, 40)),
        ("cmyk.jpg", {"mode": "CMYK"}, (60, 40)),
        ("progressive.jpg", {"progressive": True, "exif": exif(1)}, (60, 40)),
        ("large.jpg", {"size": (300, 200), "exif": exif(1)}, (100, 67)),
        ("alpha.png", {"mode": "RGBA", "exif": exif(1)}, (60, 40)),
    ],
)
def test_what_is_sent_is_a_small_upright_jpeg_without_metadata(tmp_path: Path, name, options, size) -> None:
    save(tmp_path, name, **options)
    sent = encode_image(open_images(str(tmp_path)), 0, max_side=100)
    with Image.open(io.BytesIO(sent)) as image:
        image.load()
        assert (image.format, image.size) == ("JPEG", size)
        assert not image.getexif()
    assert SECRET not in sent


def test_a_small_jpeg_keeps_its_pixels(tmp_path: Path) -> None:
    save(tmp_path, "small.jpg", exif=exif(1))
    sent = encode_image(open_images(str(tmp_path)), 0, max_side=100)
    with Image.open(io.BytesIO(sent)) as image, Image.open(tmp_path / "small.jpg") as original:
        assert np.array_equal(np.asarray(image), np.asarray(original))


def test_bytes_behind_the_picture_are_cut_and_odd_files_are_decoded(tmp_path: Path) -> None:
    save(tmp_path, "small.jpg")
    data = (tmp_path / "small.jpg").read_bytes()
    stripped = strip_metadata(data + SECRET)
    assert stripped is not None
    assert stripped.endswith(b"\xff\xd9")
    assert strip_metadata(data[:100]) is None
    assert strip_metadata(b"\xff\xd8\x00\x00\x00\x00") is None


def test_text_in_a_png_does_not_leave(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("place", SECRET.decode())
    save(tmp_path, "a.png", pnginfo=info)
    assert SECRET not in encode_image(open_images(str(tmp_path)), 0, max_side=100)


def test_a_limit_takes_as_many_of_each_class_and_grows(tmp_path: Path, image_folder: Callable[..., Path]) -> None:
    folder = image_folder(20)
    for file in sorted((folder / "dog").iterdir())[3:]:
        file.unlink()
    (folder / "cat/copy.jpg").write_bytes((folder / "cat/0000.jpg").read_bytes())
    images = open_images(str(folder))
    scan = scan_images(images)
    four, eight = select_images(images, scan, 4), select_images(images, scan, 8)
    assert np.bincount(images.labels[four]).tolist() == [2, 2]
    assert np.bincount(images.labels[eight]).tolist() == [5, 3]
    assert set(four) <= set(eight)
    assert len(select_images(images, scan)) == 13, "the copy is described once"


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


@pytest.mark.parametrize("marker", [0xE0, 0xE1, 0xE5, 0xEE, 0xEF, 0xF0, 0xF7, 0xFD, 0xFE, 0xDC])
def test_no_segment_that_a_decoder_does_not_need_is_sent(tmp_path: Path, marker: int) -> None:
    save(tmp_path, "small.jpg")
    data = (tmp_path / "small.jpg").read_bytes()
    (tmp_path / "small.jpg").write_bytes(data[:2] + segment(marker, SECRET) + data[2:])
    images = open_images(str(tmp_path))
    sent = encode_image(images, 0, max_side=100)
    assert SECRET not in sent
    with Image.open(io.BytesIO(sent)) as image, Image.open(io.BytesIO(data)) as original:
        assert np.array_equal(np.asarray(image), np.asarray(original))


def test_a_comment_between_two_scans_is_cut() -> None:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    data = buffer.getvalue()
    end = data.rindex(b"\xff\xd9")
    stripped = strip_metadata(data[:end] + segment(0xFE, SECRET) + data[end:])
    assert stripped == data


def test_thumbnails_have_no_comments_or_unknown_segments(tmp_path: Path) -> None:
    from gpt4image.report.pictures import index_pictures

    save(tmp_path, "small.jpg", comment=SECRET, exif=exif(1))
    data = (tmp_path / "small.jpg").read_bytes()
    (tmp_path / "small.jpg").write_bytes(data[:2] + segment(0xE5, SECRET) + data[2:] + SECRET)
    pictures = index_pictures(open_images(str(tmp_path)))
    thumbnail = pictures.jpeg(next(iter(pictures.index)), 160)
    assert thumbnail is not None
    assert SECRET not in thumbnail

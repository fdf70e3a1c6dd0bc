"""What Pillow decodes itself is taken; nothing that runs another program; no metadata stays."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from gpt4image.errors import UnreadableImageError
from gpt4image.images import open_images, scan_images
from gpt4image.images.decoding.decode import decode_file, read_orientation, to_upright_rgb
from gpt4image.images.decoding.formats import PICTURES_WITHOUT_DECODER, decoded_formats, image_suffixes

NOT_DECODED = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "IPTC"}


def test_every_suffix_that_pillow_reads_is_taken() -> None:
    Image.init()
    read = {end for end, kind in Image.registered_extensions().items() if kind in set(Image.OPEN) - NOT_DECODED}
    assert image_suffixes() == read
    assert {
        ".gif",
        ".jfif",
        ".jpe",
        ".avif",
        ".jp2",
        ".webp",
        ".bmp",
        ".tif",
        ".tga",
        ".ico",
        ".psd",
    } <= image_suffixes()
    assert not image_suffixes() & PICTURES_WITHOUT_DECODER


def test_postscript_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("Ghostscript was started"))
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    assert Image.open(io.BytesIO(data)).format == "EPS"
    with pytest.raises(UnidentifiedImageError):
        decode_file(data, None)
    assert "EPS" not in decoded_formats()


def test_comments_profiles_and_exif_do_not_stay() -> None:
    exif = Image.Exif()
    exif[0x010E] = "by Ann"
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", comment=b"taken by Ann", exif=exif, icc_profile=b"profile of Ann")
    assert b"Ann" in buffer.getvalue()
    image = to_upright_rgb(decode_file(buffer.getvalue(), None))
    for kind in ("JPEG", "PNG", "WEBP"):
        again = io.BytesIO()
        image.save(again, kind)
        assert b"Ann" not in again.getvalue()


@pytest.mark.parametrize(
    ("value", "orientation"), [(6, 6), ("6", 6), ("6\0", 6), ("Rotate 90", 1), (0, 1), (9, 1), (None, 1), ((6, 1), 1)]
)
def test_orientations_as_programs_write_them(value: object, orientation: int) -> None:
    image = Image.new("RGB", (8, 4))
    image.getexif()[0x0112] = value
    assert read_orientation(image) == orientation
    assert to_upright_rgb(image).size == ((4, 8) if orientation == 6 else (8, 4))


def write_damaged(kind: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        buffer = io.BytesIO()
        Image.effect_noise((32, 32), 90).convert("RGB").save(buffer, kind)
        whole = buffer.getvalue()
        for number, place in enumerate(range(0, len(whole), max(1, len(whole) // 60))):
            data = bytearray(whole)
            data[place : place + 4] = b"\xff\x00\xff\xfe"
            (folder / f"{number}.{kind.lower()}").write_bytes(data)
            (folder / f"short{number}.{kind.lower()}").write_bytes(whole[:place])

    return write


@pytest.mark.parametrize("kind", ["AVIF", "DDS", "TIFF", "GIF", "WEBP", "PCX", "ICO", "ICNS", "TGA", "PNG"])
def test_damaged_files_of_any_format_are_recorded(kind: str, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    write_damaged(kind)(tmp_path / "cat")
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "whole.png")
    images = open_images(str(tmp_path))
    scan = scan_images(images)
    assert 0 < len(scan.errors) < len(images)
    assert scan.readable[images.keys.index("cat/whole.png")]


def test_what_pillow_warns_of_does_not_reach_the_terminal(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            Image.effect_noise((8, 8 + number), 90).save(tmp_path / "photos" / name / f"{number}.png")
    write_damaged("TIFF")(tmp_path / "photos" / "cat")
    code = "import sys, PIL.Image; PIL.Image.MAX_IMAGE_PIXELS = 50; from gpt4image.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "split", str(tmp_path / "photos")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "unreadable left out" in ran.stdout
    assert [line for line in ran.stderr.splitlines() if not line.startswith("reading images: ")] == []


def test_whatever_a_decoder_raises_is_one_unreadable_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    images = open_images(str(tmp_path))

    def fail(self: object) -> None:
        raise RuntimeError("Invalid ftyp")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(UnreadableImageError, match=r"0\.png: Invalid ftyp"):
        images.decode(0)

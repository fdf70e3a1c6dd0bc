"""Digests follow the bytes, whatever happens to files and to the memory of earlier scans."""

import os
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from gpt4image.images import Scan, open_images, scan_images
from gpt4image.images.scan import find_conflicts


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos of one size and one time, as an archive leaves them."""
    for number in range(4):
        path = tmp_path / "photos" / ("red", "blue")[number % 2] / f"{number}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
        os.utime(path, (1.6e9, 1.6e9))
    return tmp_path / "photos"


def scan(photos: Path, cache: Path | None = None) -> dict[str, str]:
    images = open_images(str(photos))
    found: Scan = scan_images(images, cache)
    assert found.readable.all()
    return dict(zip(images.keys, found.digests, strict=True))


def test_files_that_swap_their_names_keep_their_own_digests(photos: Path) -> None:
    before = scan(photos)
    (photos / "red/0.bmp").rename(photos / "x")
    (photos / "blue/1.bmp").rename(photos / "red/0.bmp")
    (photos / "x").rename(photos / "blue/1.bmp")
    after = scan(photos)
    assert after["red/0.bmp"] == before["blue/1.bmp"]
    assert after["blue/1.bmp"] == before["red/0.bmp"]


def test_a_file_that_is_changed_in_place_and_set_back_in_time(photos: Path) -> None:
    before, path = scan(photos), photos / "red/0.bmp"
    other = (photos / "blue/1.bmp").read_bytes()
    with path.open("r+b") as file:
        file.write(other)
    os.utime(path, (1.6e9, 1.6e9))
    assert scan(photos)["red/0.bmp"] == before["blue/1.bmp"]


def damage(path: Path, place: float, what: bytes) -> None:
    data = bytearray(path.read_bytes())
    start = int(place * len(data))
    data[start : start + len(what)] = what
    path.write_bytes(data)


@pytest.mark.parametrize("place", [0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_memory_of_scans_is_made_anew(photos: Path, tmp_path: Path, place: float) -> None:
    cache = tmp_path / "scan.sqlite"
    right = scan(photos, cache)
    damage(cache, place, bytes(range(200)) * 10)
    assert scan(photos, cache) == right
    assert scan(photos, cache) == right
    with sqlite3.connect(cache) as connection:
        assert connection.execute("SELECT count(*) FROM scanned").fetchone()[0] >= 4, (
            "rows that nobody asks for may stay"
        )


def test_a_file_that_is_no_memory_or_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    right = scan(photos, tmp_path / "right.sqlite")
    (tmp_path / "scan.sqlite").write_text("not a database at all, but long enough to look at" * 100)
    assert scan(photos, tmp_path / "scan.sqlite") == right
    (tmp_path / "folder.sqlite").mkdir()
    assert scan(photos, tmp_path / "folder.sqlite") == right
    (tmp_path / "file").write_text("")
    assert scan(photos, tmp_path / "file" / "scan.sqlite") == right


def test_a_digest_that_was_changed_is_not_believed(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    right = scan(photos, cache)
    with sqlite3.connect(cache) as connection:
        connection.execute("UPDATE scanned SET digest = '0' || substr(digest, 2), size = size")
    assert scan(photos, cache) == right


def test_pictures_in_several_classes_are_found(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "blue" / "copy.bmp").write_bytes((photos / "red/0.bmp").read_bytes())
    (photos / "red" / "again.bmp").write_bytes((photos / "red/0.bmp").read_bytes())
    (photos / "blue" / "same.bmp").write_bytes((photos / "blue/1.bmp").read_bytes())
    (photos / "_unlabelled").mkdir()
    (photos / "_unlabelled" / "copy.bmp").write_bytes((photos / "red/2.bmp").read_bytes())
    images = open_images(str(photos))
    found = scan_images(images)
    groups = find_conflicts(images, found.digests)
    assert [{images.keys[index] for index in group} for group in groups] == [
        {"red/0.bmp", "red/again.bmp", "blue/copy.bmp"}
    ]
    err = capsys.readouterr().err
    assert "1 picture lies in several classes (3 files of the same bytes), such as blue/copy.bmp (blue) and" in err

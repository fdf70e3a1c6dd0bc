"""Labels for other trainers: every image is there under a name of its own, and can be read again."""

import errno
import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from gpt4image.images import open_images, scan_images
from gpt4image.label import LabelSettings, label
from gpt4image.label.export import LabelExportSettings, export_labels

Files = Literal["link", "copy"]


def photo(number: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weigh(source: str) -> Counter[str]:
    """Takes the labels as they are given; returns the images by their bytes."""
    label(LabelSettings(source, Path("work"), features="none", prompts=("none",)))
    return Counter(scan_images(open_images(source)).digests)


@pytest.mark.parametrize("files", ["link", "copy"])
def test_names_that_would_be_alike_or_too_long_keep_their_images_apart(here: Path, files: Files) -> None:
    long, classes = "d" * 100, ("a/b", "a_b", "A_B", "c\0d", "x" * 300, "caf\u00e9", "..")
    names = ["p/x_y.jpg", "p/x/y.jpg", "p/X_Y.jpg", f"p/{long}/{long}/{long}/0.jpg", *(f"p/{n}.jpg" for n in range(10))]
    rows = ["path,label"]
    for number, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(photo(number))
        rows.append(f"{name},{classes[0] if number < 4 else classes[number % len(classes)]}")
    Path("list.csv").write_text("\n".join(rows))
    digests = weigh("list.csv")
    assert export_labels(LabelExportSettings(Path("work"), Path("out"), files=files)).num_written == len(names)
    again = open_images("out")
    assert Counter(scan_images(again).digests) == digests
    given = open_images("list.csv").labels.tolist()
    assert sorted(Counter(again.labels.tolist()).values()) == sorted(Counter(given).values())
    folded = [path.name.casefold() for path in Path("out").iterdir()]
    assert len(set(folded)) == len(classes)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_names_that_are_not_utf8_stand_in_lists_and_are_found_again(here: Path, name: str) -> None:
    for number, path in enumerate((b"photos/cat/caf\xe9.jpg", b"photos/d\xf6g/0.jpg", b"photos/cat/1.jpg")):
        Path(path.decode(errors="surrogateescape")).parent.mkdir(parents=True, exist_ok=True)
        Path(path.decode(errors="surrogateescape")).write_bytes(photo(number))
    digests = weigh("photos")
    assert export_labels(LabelExportSettings(Path("work"), Path(name))).num_written == 3
    again = open_images(name)
    assert Counter(scan_images(again).digests) == digests
    assert again.classes == ("cat", "d\\xf6g")


def test_images_in_shards_become_files_and_lists_say_that_they_are_none(here: Path) -> None:
    with tarfile.open("s.tar", "w") as tar:
        for number, kind in enumerate(("JPEG", "PNG", "WEBP")):
            for end, data in ((kind.lower(), photo(number, kind)), ("cls", b"%d" % (number % 2))):
                member = tarfile.TarInfo(f"v1.{number}.{end}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    digests = weigh("webdataset:s.tar")
    export_labels(LabelExportSettings(Path("work"), Path("out")))
    again = open_images("out")
    assert Counter(scan_images(again).digests) == digests
    assert [Path(key).name for key in again.keys] == ["s_v1.0.jpg", "s_v1.2.webp", "s_v1.1.png"]
    listed = export_labels(LabelExportSettings(Path("work"), Path("out.csv")))
    words = "3 images are no files of their own: their path is their key; export to a folder to get files"
    assert words in list(listed.lines())


def test_a_folder_that_cannot_be_finished_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        Path(f"photos/{number % 2}").mkdir(parents=True, exist_ok=True)
        Path(f"photos/{number % 2}/{number}.jpg").write_bytes(photo(number))
    weigh("photos")

    def fail(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", fail)
    before = sorted(here.iterdir())
    with pytest.raises(OSError, match="No space left"):
        export_labels(LabelExportSettings(Path("work"), Path("out"), files="copy"))
    assert sorted(here.iterdir()) == before


def test_pictures_that_are_no_image_files_become_png(here: Path) -> None:
    weigh("fashion-mnist:1k")
    export_labels(LabelExportSettings(Path("work"), Path("out"), least_confidence=0.5))
    images, again = open_images("fashion-mnist:1k"), open_images("out")
    assert len(again) == 1000
    seen = [
        Counter(hashlib.sha256(one.decode(index).tobytes()).hexdigest() for index in range(1000))
        for one in (images, again)
    ]
    assert seen[0] == seen[1]

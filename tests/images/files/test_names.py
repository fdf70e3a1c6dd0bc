"""Names that are not UTF-8, in other Unicode forms, with odd characters: kept apart, written back, found again."""

import os
from pathlib import Path
from unicodedata import normalize

import pytest
from PIL import Image

from gpt4image.errors import ImageSetError
from gpt4image.images import open_images, scan_images
from gpt4image.images.files.names import escape_name, find_file
from gpt4image.images.split import SplitSettings, split

CAFE = "café"
NFC, NFD = normalize("NFC", CAFE), normalize("NFD", CAFE)


def save(path: str | bytes, shade: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reds(source: str) -> dict[str, int]:
    images = open_images(source)
    assert scan_images(images).readable.all()
    return {images.keys[i]: images.decode(i).getpixel((0, 0))[0] for i in range(len(images))}


def test_names_that_are_not_utf8(here: Path) -> None:
    for folder in ("cat", "dog"):
        for number in range(2):
            save(f"photos/{folder}/{number}.png", 10 + number + 2 * (folder == "dog"))
    save(b"photos/cat/caf\xe9.png", 1)
    save(b"photos/caf\xe9/0.png", 2)
    save(b"photos/caf\xe9/1.png", 3)
    images = open_images("photos")
    assert images.classes == ("caf\\xe9", "cat", "dog")
    found = reds("photos")
    assert (found["cat/caf\\xe9.png"], found["caf\\xe9/0.png"]) == (1, 2)
    assert "".join(images.keys).isprintable()
    result = split(SplitSettings("photos"))
    listed = reds(f"{result.list}?split=train") | reds(f"{result.list}?split=test")
    assert listed == {f"photos/{key}": red for key, red in found.items()}
    assert split(SplitSettings("photos")).num_joined == 0


def test_a_key_that_two_images_would_have_is_refused(here: Path) -> None:
    save(b"photos/cat/caf\xe9.png", 1)
    save(b"photos/cat/caf\\xe9.png", 2)
    with pytest.raises(ImageSetError, match=r"has several images with the key .*caf.*xe9\.png'; rename one, keys must"):
        open_images("photos")


def test_unicode_forms_are_kept_apart_and_found_from_the_other_form(here: Path) -> None:
    save(f"photos/cat/{NFC}.png", 1)
    save(f"photos/cat/{NFD}.png", 2)
    save(f"photos/cat/{normalize('NFD', 'übung')}/0.png", 3)
    assert len(reds("photos")) == 3
    Path("both.csv").write_text(f"path\nphotos/cat/{NFC}.png\nphotos/cat/{NFD}.png\nphotos/cat/übung/0.png\n")
    assert list(reds("both.csv").values()) == [1, 2, 3]
    Path("photos/cat/0é.png".replace("é", normalize("NFC", "é"))).write_bytes(
        Path(f"photos/cat/{NFC}.png").read_bytes()
    )
    Path("other.csv").write_text(f"path\nphotos/cat/{normalize('NFD', '0é')}.png\n")
    assert list(reds("other.csv").values()) == [1]
    os.remove(f"photos/cat/{NFC}.png")
    with pytest.raises(ImageSetError, match="more than once"):
        open_images("both.csv")


def test_classes_in_two_unicode_forms_are_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(f"{NFC}_set/{NFC}/0.png", 1)
    save(f"{NFC}_set/{NFD}/1.png", 2)
    images = open_images(f"{NFC}_set")
    assert (images.classes, images.labels.tolist()) == ((NFC,), [0, 0])
    assert "are taken for one class" in capsys.readouterr().err


def test_question_marks_in_names(here: Path) -> None:
    save("what?/cat/0.png", 1)
    save("what?/dog?/1.png", 2)
    assert reds("what?") == {"cat/0.png": 1, "dog?/1.png": 2}
    Path("what?/list?.csv").write_text("path,split\ncat/0.png,train\ndog?/1.png,test\n")
    assert reds("what?/list?.csv?split=test") == {"dog?/1.png": 2}
    with pytest.raises(ImageSetError, match="does not exist"):
        open_images("nowhere?split=test")


def test_one_stem_with_two_suffixes_is_two_images(here: Path) -> None:
    for number, name in enumerate(("0.png", "0.jpeg", "0.PNG")):
        save(f"photos/cat/{name}", number + 1)
    assert reds("photos") == {"cat/0.PNG": 3, "cat/0.jpeg": 2, "cat/0.png": 1}


def test_separators_and_spaces_in_lists(here: Path) -> None:
    save("photos/cat/0.png", 1)
    save("photos/cat/a\\b.png", 2)
    save("photos/cat/ c.png", 3)
    text = "path,label\nphotos\\cat\\0.png,cat\nphotos/cat/a\\b.png,cat\n photos//cat/./ c.png ,cat\n"
    Path("list.csv").write_text(text)
    assert list(reds("list.csv").values()) == [1, 2, 3]
    assert next(iter(reds("list.csv"))) == "photos/cat/0.png"


def test_a_path_with_a_zero_byte_or_half_a_character_is_one_broken_image(here: Path) -> None:
    save("./0.png", 1)
    Path("list.jsonl").write_text('{"path": "0.png"}\n{"path": "a\\u0000.png"}\n{"path": "b\\ud83d.png"}\n')
    images = open_images("list.jsonl")
    assert scan_images(images).readable.tolist() == [True, False, False]
    "".join(images.keys).encode()


def test_a_set_whose_own_name_is_not_utf8_is_refused(here: Path) -> None:
    os.mkdir(b"caf\xe9")
    with pytest.raises(ImageSetError, match=r"caf\\xe9: the name is not in UTF-8; rename it"):
        open_images(os.fsdecode(b"caf\xe9"))


def test_escaped_names_are_found(here: Path) -> None:
    raw = os.fsdecode(b"x\xff\xe9y.png")
    save(f"./{raw}", 1)
    assert escape_name(raw) == "x\\xff\\xe9y.png"
    assert find_file(str(here), escape_name(raw)) == str(here / raw)
    assert find_file(str(here), "x\\xffz.png") == str(here / "x\\xffz.png")
    assert escape_name(CAFE) == CAFE

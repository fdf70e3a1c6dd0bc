"""Captions as people have them: every text in the store, as many as are said, or one line that names file and line."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.describe import DescribeSettings, DescriptionStore, describe
from gpt4image.describe.exchange.export_stage import ExportDescriptionsSettings, export_descriptions
from gpt4image.describe.exchange.import_stage import ImportSettings, import_descriptions
from gpt4image.describe.replay.matching import ImageMatcher
from gpt4image.describe.replay.rows import Row
from gpt4image.errors import DescriptionError
from gpt4image.images import open_images, scan_images
from gpt4image.images.split import SplitSettings, split

ImageFolder = Callable[..., Path]
FIRST, SECOND = "cat/0000.jpg", "dog/0001.jpg"


def stored(work: Path) -> dict[str, list[str]]:
    """The texts of the store, by the key of their image."""
    with closing(sqlite3.connect(work / "descriptions.sqlite")) as connection:
        rows = connection.execute("SELECT key, text FROM descriptions JOIN images USING (digest) ORDER BY key, sample")
        texts: dict[str, list[str]] = {}
        for key, text in rows:
            texts.setdefault(key, []).append(text)
        return texts


def jsonl(*captions: object) -> bytes:
    keys = (FIRST, SECOND)
    rows = [{"path": keys[i % 2], "caption": caption} for i, caption in enumerate(captions)]
    return "\n".join(map(json.dumps, rows)).encode()


TAKEN: dict[str, tuple[str, bytes, list[str], list[str]]] = {
    "several rows an image": ("c.csv", f"path,caption\n{FIRST},a\n{SECOND},b\n{FIRST},c\n".encode(), ["a", "c"], ["b"]),
    "a list in JSON": ("c.jsonl", jsonl(["a", "c"], "b"), ["a", "c"], ["b"]),
    "a list in a cell": ("c.csv", f"path,caption\n{FIRST},\"['a', 'c']\"\n{SECOND},b\n".encode(), ["a", "c"], ["b"]),
    "a JSON list in a cell": (
        "c.csv",
        f'path,caption\n{FIRST},"[""a"", ""c""]"\n{SECOND},b\n'.encode(),
        ["a", "c"],
        ["b"],
    ),
    "brackets that are no list": ("c.jsonl", jsonl("['a cat", "[b]"), ["['a cat"], ["[b]"]),
    "quotes and breaks": ("c.csv", f'path,caption\n{FIRST},"a, ""x""\nc"\n{SECOND},b\n'.encode(), ['a, "x"\nc'], ["b"]),
    "UTF-16": ("c.csv", f"path,caption\n{FIRST},größer\n{SECOND},b\n".encode("utf-16"), ["größer"], ["b"]),
    "a byte order mark": ("c.csv", f"path,caption\n{FIRST},ä\n{SECOND},b\n".encode("utf-8-sig"), ["ä"], ["b"]),
    "semicolons": ("c.csv", f"path;caption\n{FIRST};a, c\n{SECOND};b\n".encode(), ["a, c"], ["b"]),
    "addresses": (
        "c.csv",
        f"image,caption\nhttps://x.org/{FIRST}?w=200&h=3#top,a\nhttp://x.org/c%61t/0000.jpg#1,c\n{SECOND}#0,b\n".encode(),
        ["a", "c"],
        ["b"],
    ),
    "names without a suffix": ("c.csv", b"path,caption\n0000,a\ndog/0001,b\n0002.png,c\n", ["a"], ["b"]),
    "bars and spaces": ("c.csv", f"image| caption\n{FIRST}| a, c\n{SECOND}| b\n".encode(), ["a, c"], ["b"]),
    "another case": ("c.JSONL", jsonl("a", "b"), ["a"], ["b"]),
}


@pytest.mark.parametrize("way", ["describe", "import"])
@pytest.mark.parametrize("name", TAKEN)
def test_every_text_is_in_the_store_and_counted(image_folder: ImageFolder, tmp_path: Path, name: str, way: str) -> None:
    file_name, content, first, second = TAKEN[name]
    folder, file, work = image_folder(2), tmp_path / file_name, tmp_path / "work"
    file.write_bytes(content)
    number = len(first) + len(second)
    for kept in (0, number):
        if way == "describe":
            result = describe(DescribeSettings(str(folder), work, describer="replay", file=file, field=("caption",)))
            assert (result.new, result.kept, result.redone) == (number - kept, kept, 0)
        else:
            taken = import_descriptions(ImportSettings(work, file, images=str(folder)))
            assert (taken.written, taken.kept) == (number - kept, kept)
        assert stored(work) == {FIRST: first, SECOND: second}


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "unquoted commas": (
        "c.csv",
        f"path,caption\n{SECOND},b\n{FIRST},a, c\n".encode(),
        r"c.csv, line 3 has 3 fields, but the header has 2 \(path, caption\); a text with commas",
    ),
    "a quote that is not closed": (
        "c.csv",
        f'path,caption\n{SECOND},b\n{FIRST},"a\n{SECOND},c\n'.encode(),
        "c.csv, line 3: unexpected end of data; a quote within",
    ),
    "a quote within a text": (
        "c.csv",
        f'path,caption\n{SECOND},b\n{FIRST},"a "x" c"\n'.encode(),
        "c.csv, line 3: .* expected after .*; a quote within",
    ),
    "cp1252": (
        "c.csv",
        f"path,caption\n{SECOND},b\n{FIRST},é\n".encode("cp1252"),
        "c.csv, line 3 is not in UTF-8; save",
    ),
    "a column twice": ("c.csv", b"path,caption,caption\na,b,c\n", "c.csv has two columns 'caption'"),
    "a name twice": (
        "c.jsonl",
        b'{"path": "a", "caption": "b", "caption": "c"}',
        "line 1 is no JSON: a name stands twice",
    ),
    "half a character": ("c.jsonl", jsonl("b", "\ud83d"), r"c.jsonl, line 2 holds half a character \(\\ud83d\) in"),
    "an object": ("c.jsonl", jsonl("b", {"en": "a"}), "c.jsonl, line 2 holds an object with en in 'caption'; a descr"),
    "a list of lists": ("c.jsonl", jsonl([["a"]]), r"c.jsonl, line 1 holds \['a'\] in 'caption'; a description is"),
}


@pytest.mark.parametrize("way", ["describe", "import"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_with_its_line_and_nothing_is_written(
    image_folder: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    for module in ("replay.describer", "exchange.import_stage"):
        monkeypatch.setattr(f"gpt4image.describe.{module}.BATCH_SIZE", 1)
    file_name, content, words = REFUSED[name]
    folder, file, work = image_folder(2), tmp_path / file_name, tmp_path / "work"
    file.write_bytes(content)
    replay = DescribeSettings(str(folder), work, describer="replay", file=file, field=("caption",))
    run = (
        partial(describe, replay)
        if way == "describe"
        else partial(import_descriptions, ImportSettings(work, file, str(folder)))
    )
    with pytest.raises(DescriptionError, match=words):
        run()
    assert stored(work) == {}


def test_cells_without_a_text_are_counted_and_no_descriptions(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder, file, work = image_folder(2), tmp_path / "c.jsonl", tmp_path / "work"
    file.write_bytes(jsonl(float("nan"), "b", None, "nan"))
    result = describe(DescribeSettings(str(folder), work, describer="replay", file=file, field=("caption",)))
    assert (result.new, result.notes) == (
        1,
        (f"3 rows of {file} have no text", f"1 image has no text in {file}, such as cat/0000.jpg"),
    )
    assert stored(work) == {SECOND: ["b"]}
    taken = import_descriptions(ImportSettings(tmp_path / "other", file, images=str(folder)))
    assert (taken.written, taken.without_text) == (1, 3)
    assert "3 rows have no text" in list(taken.lines())


def test_images_in_the_rows_match_by_their_bytes_and_no_bytes_are_shown(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder, work = image_folder(2), tmp_path / "work"
    images = [{"bytes": (folder / key).read_bytes(), "path": None} for key in (SECOND, FIRST)]
    parquet.write_table(pa.table({"image": images, "caption": ["b", "a"]}), tmp_path / "c.parquet")
    settings = ImportSettings(work, tmp_path / "c.parquet", images=str(folder))
    assert import_descriptions(settings).written == 2
    assert stored(work) == {FIRST: ["a"], SECOND: ["b"]}
    other = image_folder(1, size=16, name="other")
    with pytest.raises(DescriptionError, match=r"rows are such as .*an object with bytes, path"):
        import_descriptions(ImportSettings(tmp_path / "more", tmp_path / "c.parquet", images=str(other)))
    replay = DescribeSettings(str(other), work, describer="replay", file=tmp_path / "c.parquet", field=("caption",))
    with pytest.raises(DescriptionError) as told:
        describe(replay)
    assert len(str(told.value)) < 500


def test_a_row_of_our_own_that_stands_twice_is_counted_once(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder, file, work = image_folder(2), tmp_path / "c.jsonl", tmp_path / "work"
    own = {"key": FIRST, "prompt": "p", "describer": "d", "state": "ok", "sample": 0}
    file.write_text("\n".join(json.dumps(own | {"text": text}) for text in ("first", "last")))
    assert import_descriptions(ImportSettings(work, file, images=str(folder))).written == 1
    assert stored(work) == {FIRST: ["last"]}
    for name, value in (("sample", -1), ("tokens_in", "many"), ("seconds", float("inf")), ("sample", 1 << 80)):
        file.write_text(json.dumps(own | {"text": "x", name: value}))
        with pytest.raises(DescriptionError, match=f"line 1 holds .* in '{name}'; it must be a number"):
            import_descriptions(ImportSettings(work, file, images=str(folder)))


def test_side_cars_of_a_list_are_found_and_hidden_ones_left_out(
    image_folder: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = image_folder(4)
    monkeypatch.chdir(tmp_path)
    for photo in folder.rglob("*.jpg"):
        photo.with_suffix(".txt").write_bytes(f"über {photo.stem}".encode("utf-16"))
        photo.with_name(f"._{photo.stem}.txt").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    split(SplitSettings(str(folder), test_share=0.5))
    taken = import_descriptions(ImportSettings(tmp_path / "work", folder, images="images.csv?split=train"))
    assert (taken.written, taken.unknown) == (2, 2)
    assert all(texts == [f"über {Path(key).stem}"] for key, texts in stored(tmp_path / "work").items())
    first = next(iter(sorted(folder.rglob("[0-9]*.txt"))))
    first.write_bytes("größe".encode("cp1252"))
    with pytest.raises(DescriptionError, match=f"{first}, line 1 is not in UTF-8; save the file as UTF-8"):
        import_descriptions(ImportSettings(tmp_path / "work", folder, images=str(folder)))


def test_side_cars_are_about_the_images_beside_them(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder(2)
    (folder / "images/cat").mkdir(parents=True)
    (folder / "images" / FIRST).write_bytes((folder / SECOND).read_bytes() + b"another")
    (folder / FIRST).with_suffix(".txt").write_text("a")
    (tmp_path / "list.csv").write_text(f"path\nimages/{FIRST}\nimages/images/{FIRST}\n")
    taken = import_descriptions(ImportSettings(tmp_path / "work", folder, images=str(tmp_path / "list.csv")))
    assert (taken.written, taken.unknown) == (1, 0)
    assert stored(tmp_path / "work") == {f"images/{FIRST}": ["a"]}


def test_images_of_one_stem_keep_their_own_side_cars(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder, work = image_folder(2), tmp_path / "work"
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(folder / "cat/0000.png")
    (tmp_path / "c.csv").write_text(f"path,caption\n{FIRST},the jpg\ncat/0000.png,the png\n{SECOND},other\n")
    import_descriptions(ImportSettings(work, tmp_path / "c.csv", images=str(folder)))
    assert export_descriptions(ExportDescriptionsSettings(work, tmp_path / "texts")).descriptions == 3
    assert len(list((tmp_path / "texts").rglob("*.txt"))) == 3
    import_descriptions(ImportSettings(tmp_path / "again", tmp_path / "texts", images=str(folder)))
    assert stored(tmp_path / "again") == stored(work)
    (tmp_path / "texts/cat/0000.txt").write_text("whose?")
    with pytest.raises(
        DescriptionError, match=r"0000.txt may be about any of .*; write the image's whole name, such as"
    ):
        import_descriptions(ImportSettings(tmp_path / "again", tmp_path / "texts", images=str(folder)))


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("cat/caf\u00e9.jpg", "cat/cafe\u0301.jpg"),
        ("cat/cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("cat/0.jpg", "cat\\0.jpg"),
        ("cat/0.jpg", "C:\\photos\\cat\\0.jpg"),
        ("cat/caf\\xe9.jpg", "cat/caf\\xe9.jpg"),
        ("cat/caf\\xe9.jpg", "cat/caf\udce9.jpg"),
        ("train/60", 60.0),
    ],
)
def test_names_are_matched_however_they_were_written(tmp_path: Path, key: str, written: object) -> None:
    matcher = ImageMatcher(["dog/other.jpg", key, "train/61"], ["d0", "d1", "d2"], tmp_path)
    assert matcher.find(Row({"index" if isinstance(written, float) else "path": written})) == 1
    if isinstance(written, str) and written.count("/") + written.count("\\") == 1:
        assert matcher.find(Row({"key": written})) == 1


def test_digests_are_matched_in_capitals_too(tmp_path: Path) -> None:
    matcher = ImageMatcher(["a.jpg", "b.jpg"], ["0a", "0b"], tmp_path)
    assert [matcher.find(Row({"digest": digest})) for digest in ("0B", "sha256:0b", "SHA256:0A")] == [1, 1, 0]


def test_two_names_that_are_one_in_another_form_match_exactly_or_not_at_all(tmp_path: Path) -> None:
    keys = ["caf\u00e9.jpg", "cafe\u0301.jpg"]
    matcher = ImageMatcher(keys, ["d0", "d1"], tmp_path)
    assert [matcher.find(Row({"key": key})) for key in keys] == [0, 1]
    assert matcher.find(Row({"path": "./caf\u00e9 .jpg"})) is None


def test_half_a_character_of_a_reply_is_stored_as_its_mark(image_folder: ImageFolder, tmp_path: Path) -> None:
    from gpt4image.describe import Description

    images = open_images(str(image_folder(2)))
    digest = scan_images(images).digests[0]
    with DescriptionStore.open(tmp_path / "work", create=True) as store:
        store.write([Description(digest, "p", "d", text="größe \U0001f431 \ud83d")])
        assert next(store.descriptions()).text == "größe \U0001f431 \ufffd"


def test_a_name_may_lack_the_suffix_that_one_image_has_or_have_one_that_keys_of_shards_lack() -> None:
    keys = ["a/0000", "a/v0.1", "b/x.jpg", "b/y.jpg", "c/y.png"]
    matcher = ImageMatcher(keys, [f"{number:064x}" for number in range(len(keys))], Path("/nowhere"))
    found = {
        name: matcher.find(Row(path=name))
        for name in ("0000.jpg", "a/0000.png", "v0.1.jpg", "v0", "x", "b/x", "x.png", "y", "c/y")
    }
    assert found == {
        "0000.jpg": 0,
        "a/0000.png": 0,
        "v0.1.jpg": 1,
        "v0": None,
        "x": 2,
        "b/x": 2,
        "x.png": None,
        "y": None,
        "c/y": 4,
    }

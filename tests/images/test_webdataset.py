"""WebDataset shards, made here by tarfile."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images import UNLABELLED, open_images, scan_images


@pytest.fixture
def shards(write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], tmp_path: Path) -> Path:
    """Three samples in two shards; the folder has no class names yet."""
    finches, owls = photos_of["finch"], photos_of["owl"]
    folder = tmp_path / "shards"
    write_shard(
        folder / "train-00.tar", {"a.png": finches[0], "a.cls": "0", "birds/b.1.png": owls[0], "birds/b.cls": "10"}
    )
    meta = json.dumps({"label": 2, "species": "owl"})
    write_shard(folder / "train-01.tar", {"c.seg.png": owls[1], "c.json": meta, "d.txt": "a sample without an image"})
    return folder


def test_samples_are_read_at_random(shards: Path, photos_of: dict[str, list[bytes]]) -> None:
    images = open_images(f"webdataset:{shards}/train-{{00..01}}.tar")
    assert list(images.keys) == ["train-00/a", "train-00/birds/b", "train-01/c"]
    assert images.classes == ("0", "2", "10")
    assert images.labels.tolist() == [0, 2, 1]
    assert [images.read_bytes(i) for i in (2, 0, 1)] == [
        photos_of["owl"][1],
        photos_of["finch"][0],
        photos_of["owl"][0],
    ]
    assert scan_images(images).readable.all()


def test_class_names_beside_the_shards(shards: Path) -> None:
    (shards / "classnames.txt").write_text("".join(f"class {number}\n" for number in range(11)))
    images = open_images(f"webdataset:{shards}/*.tar")
    assert images.labels.tolist() == [0, 10, 2]
    assert images.class_name(1) == "class 10"
    (shards / "few.txt").write_text("one\ntwo\n")
    with pytest.raises(ImageSetError, match="has labels from 0 to 10, but 2 classes"):
        open_images(f"webdataset:{shards}/*.tar?classes={shards / 'few.txt'}")


def test_a_field_of_json_as_label(shards: Path) -> None:
    images = open_images(f"webdataset:{shards}/*.tar?label=species")
    assert images.classes == ("owl",)
    assert images.labels.tolist() == [UNLABELLED, UNLABELLED, 0]
    with pytest.raises(ImageSetError, match=r"no sample has a \.json with the field 'genus'"):
        open_images(f"webdataset:{shards}/*.tar?label=genus")


def test_a_shard_is_looked_through_once_until_it_changes(
    shards: Path, write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_images(f"webdataset:{shards}/*.tar")
    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "open", None)
        assert open_images(f"webdataset:{shards}/*.tar").keys == before.keys
    write_shard(shards / "train-01.tar", {"new.png": photos_of["finch"][3], "new.cls": "1"})
    after = open_images(f"webdataset:{shards}/*.tar")
    assert list(after.keys)[2:] == ["train-01/new"]
    assert after.read_bytes(2) == photos_of["finch"][3]


def test_refused_shards(shards: Path, write_shard: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(ImageSetError, match="there are no such files"):
        open_images(f"webdataset:{shards}/none-*.tar")
    write_shard(tmp_path / "packed" / "x.tar", {"a.cls": "1"}, mode="w:gz")
    with pytest.raises(ImageSetError, match=r"must be plain \.tar files, not compressed"):
        open_images(f"webdataset:{tmp_path}/packed/*.tar")
    write_shard(tmp_path / "empty" / "x.tar", {"a.cls": "1"})
    with pytest.raises(ImageSetError, match="has no images: no sample has a file"):
        open_images(f"webdataset:{tmp_path}/empty/*.tar")


def test_missing_shards_are_named(shards: Path) -> None:
    with pytest.raises(ImageSetError, match=r"2 of 4 shards are missing: train-02\.tar, train-03\.tar; fetch them"):
        open_images(f"webdataset:{shards}/train-{{00..03}}.tar")
    with pytest.raises(ImageSetError, match=r"1 of 2 shards are missing: val-01\.tar"):
        open_images(f"webdataset:{shards}/{{train,val}}-01.tar")
    assert len(open_images(f"webdataset:{shards}/{{train-00,train-01}}.tar")) == 3


def test_two_shards_of_one_name_have_their_own_keys(
    write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], tmp_path: Path
) -> None:
    for number, folder in enumerate(("a", "b")):
        write_shard(tmp_path / folder / "0.tar", {"x.png": photos_of["owl"][number]})
    images = open_images(f"webdataset:{tmp_path}/*/0.tar")
    assert list(images.keys) == ["a/0/x", "b/0/x"]
    assert [images.read_bytes(i) for i in range(2)] == photos_of["owl"][:2]


def test_dots_in_names(write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], tmp_path: Path) -> None:
    owls = photos_of["owl"]
    files = {f"v0.{n}.{kind}": owls[n] if kind == "png" else f"{n}" for n in range(4) for kind in ("png", "cls")}
    write_shard(tmp_path / "s" / "a.tar", {**files, "only.one.png": owls[5], "only.one.cls": "9"})
    images = open_images(f"webdataset:{tmp_path}/s/a.tar")
    assert list(images.keys) == ["a/v0.0", "a/v0.1", "a/v0.2", "a/v0.3", "a/only"]
    assert [images.class_name(i) for i in range(5)] == ["0", "1", "2", "3", "9"]
    assert [images.read_bytes(i) for i in range(4)] == owls[:4]


@pytest.mark.parametrize("second", ["x.jpg", "x.left.png", "x.png"])
def test_a_second_image_in_a_sample_is_named(
    write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], tmp_path: Path, second: str
) -> None:
    write_shard(tmp_path / "s" / "a.tar", {"x.png": photos_of["owl"][0], "x.cls": "1"})
    with tarfile.open(tmp_path / "s" / "a.tar", "a") as tar:
        member = tarfile.TarInfo(second)
        tar.addfile(member)
    with pytest.raises(ImageSetError, match=rf"the sample x has two images, x\.png and {second}; a sample has one"):
        open_images(f"webdataset:{tmp_path}/s/a.tar")


def test_broken_members_do_not_end_the_run(
    write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], tmp_path: Path
) -> None:
    owls = photos_of["owl"]
    files = {"0.png": owls[0], "0.json": "{", "1.png": b"no image", "1.json": "{}", "2.png": owls[2], "2.cls": b"\xff"}
    write_shard(tmp_path / "s" / "a.tar", {**files, "3.png": owls[3], "3.json": '{"label": NaN}', "._4.png": owls[4]})
    images = open_images(f"webdataset:{tmp_path}/s/a.tar")
    assert images.labels.tolist() == [UNLABELLED] * 4
    assert {kind: found.count for kind, found in images.remarks.left_out.items()} == {
        ".json (cannot be read)": 1,
        ".cls (cannot be read)": 1,
        "file (not part of the set)": 1,
    }
    assert scan_images(images).readable.tolist() == [True, False, True, True]
    again = open_images(f"webdataset:{tmp_path}/s/a.tar")
    assert again.remarks == images.remarks


@pytest.mark.parametrize("share", [0.3, 0.55, 0.8, 0.99])
def test_a_shard_that_is_cut_off_is_read_up_to_there(
    write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], tmp_path: Path, share: float
) -> None:
    write_shard(tmp_path / "s" / "a.tar", {f"{n}.png": data for n, data in enumerate(photos_of["owl"])})
    whole = (tmp_path / "s" / "a.tar").read_bytes().rstrip(b"\0")
    (tmp_path / "s" / "a.tar").write_bytes(whole[: int(share * len(whole))])
    images = open_images(f"webdataset:{tmp_path}/s/a.tar")
    scan = scan_images(images)
    num_whole = int(scan.readable.sum())
    assert 0 < num_whole < 12
    assert len(images) - num_whole + len(images.remarks.sentences) > 0, "something is said"


def test_a_damaged_index_is_made_anew(shards: Path, tmp_path: Path) -> None:
    right = open_images(f"webdataset:{shards}/*.tar")
    remembered = sorted((tmp_path / "cache" / "gpt4image" / "webdataset").glob("*.parquet"))
    for place in range(0, 1000, 50):
        for path in remembered:
            data = bytearray(path.read_bytes())
            data[place : place + 8] = b"garbled!"
            path.write_bytes(data)
        images = open_images(f"webdataset:{shards}/*.tar")
        assert (images.keys, images.labels.tolist()) == (right.keys, right.labels.tolist())
        assert [images.read_bytes(i) for i in range(3)] == [right.read_bytes(i) for i in range(3)]


def test_suffixes_of_labels_in_any_case(
    write_shard: Callable[..., None], photos_of: dict[str, list[bytes]], tmp_path: Path
) -> None:
    owls = photos_of["owl"]
    files = {"a.PNG": owls[0], "a.CLS": "1", "b.png": owls[1], "b.Json": '{"cls": 0}'}
    write_shard(tmp_path / "s" / "a.tar", files)
    assert open_images(f"webdataset:{tmp_path}/s/a.tar?label=cls").labels.tolist() == [UNLABELLED, 0]
    images = open_images(f"webdataset:{tmp_path}/s/a.tar")
    assert images.classes == ("1",)
    assert images.labels.tolist() == [0, UNLABELLED]


def test_what_is_no_image_is_said_without_an_address(write_shard: Callable[..., None], tmp_path: Path) -> None:
    write_shard(tmp_path / "s" / "a.tar", {"a.png": b"no image", "b.png": b""})
    images = open_images(f"webdataset:{tmp_path}/s/a.tar")
    for index, words in enumerate(("is no image that can be decoded", "is empty")):
        with pytest.raises(UnreadableImageError, match=words):
            images.decode(index)

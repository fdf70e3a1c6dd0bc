"""WebDataset shards, made here by tarfile."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gpt4image.errors import ImageSetError
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

"""Hugging Face data sets, made here: Parquet with and without features, saved to disk, streamed, out of reach."""

import hashlib
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from gpt4image.errors import ImageSetError
from gpt4image.images import UNLABELLED, open_images, scan_images

FEATURES = Features({"photo": datasets.Image(), "bird": ClassLabel(names=["finch", "owl"]), "caption": Value("string")})


def make_rows(photos_of: dict[str, list[bytes]]) -> dict[str, list[Any]]:
    finches, owls = photos_of.values()
    return {
        "photo": [{"bytes": data, "path": None} for data in (finches[0], owls[0], finches[1], owls[1])],
        "bird": [0, 1, 0, -1],
        "caption": ["small", "round", "red", "late"],
    }


@pytest.fixture(autouse=True)
def own_datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()


@pytest.fixture
def folder(photos_of: dict[str, list[bytes]], tmp_path: Path) -> Path:
    """Parquet files of two splits, as the hub holds them."""
    made = Dataset.from_dict(make_rows(photos_of), features=FEATURES)
    (tmp_path / "birds").mkdir()
    made.to_parquet(tmp_path / "birds" / "train-00000-of-00001.parquet")
    made.select([1]).to_parquet(tmp_path / "birds" / "test-00000-of-00001.parquet")
    return tmp_path / "birds"


def test_parquet_with_an_image_feature(folder: Path, photos_of: dict[str, list[bytes]]) -> None:
    images = open_images(f"hf:{folder}:train")
    assert list(images.keys) == ["train/0", "train/1", "train/2", "train/3"]
    assert images.classes == ("finch", "owl")
    assert images.labels.tolist() == [0, 1, 0, UNLABELLED]
    assert images.columns == {"caption": ["small", "round", "red", "late"]}
    scan = scan_images(images)
    wanted = [photos_of["finch"][0], photos_of["owl"][0], photos_of["finch"][1], photos_of["owl"][1]]
    assert scan.digests == [hashlib.sha256(data).hexdigest() for data in wanted]
    red, green, _ = images.subset(scan.readable.nonzero()[0][1:]).decode(0).getpixel((5, 5))
    assert green > red


def test_one_parquet_file_of_plain_bytes_and_words(photos_of: dict[str, list[bytes]], tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    finches = photos_of["finch"]
    table = {"jpg": [finches[0], b"no image", finches[2]], "label": ["10", "9", None], "__key__": ["a", "b", "c"]}
    parquet.write_table(pa.table(table), tmp_path / "shard.parquet")
    images = open_images(f"hf:{tmp_path / 'shard.parquet'}")
    assert list(images.keys) == ["a", "b", "c"]
    assert images.classes == ("9", "10")
    assert images.labels.tolist() == [1, 0, UNLABELLED]
    scan = scan_images(images)
    assert scan.readable.tolist() == [True, False, True]
    assert list(scan.errors) == ["b"]
    # Known from the first time: nothing is read again.
    images.store.dataset = None  # type: ignore[attr-defined]
    assert scan_images(images).digests == scan.digests


def test_saved_to_disk(photos_of: dict[str, list[bytes]], tmp_path: Path) -> None:
    made = Dataset.from_dict(make_rows(photos_of), features=FEATURES)
    DatasetDict({"train": made}).save_to_disk(tmp_path / "saved")
    images = open_images(f"hf:{tmp_path / 'saved'}")
    assert (len(images), images.keys[3]) == (4, "train/3")
    assert images.read_bytes(2) == photos_of["finch"][1]


def test_the_first_rows_are_streamed(folder: Path, photos_of: dict[str, list[bytes]]) -> None:
    images = open_images(f"hf:{folder}:train?first=3")
    assert images.labels.tolist() == [0, 1, 0]
    assert images.classes == ("finch", "owl")
    assert images.read_bytes(1) == photos_of["owl"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", r"has several splits; choose from test, train|has several splits; choose from train, test"),
        (":val", "has no split 'val'; choose from"),
        (":train?label=beak", "has no column 'beak'; its columns are photo, bird, caption"),
        (":train?lable=bird", "there is no option 'lable'"),
        (":train?first=some", "first=some is no number of rows"),
    ],
)
def test_what_is_not_there_is_one_clear_error(folder: Path, words: str, message: str) -> None:
    with pytest.raises(ImageSetError, match=message):
        open_images(f"hf:{folder}{words}")


def test_columns_that_are_missing_or_ambiguous(photos_of: dict[str, list[bytes]], tmp_path: Path) -> None:
    Dataset.from_dict({"caption": ["x"]}).to_parquet(tmp_path / "words.parquet")
    with pytest.raises(ImageSetError, match="has no image column, its columns are caption"):
        open_images(f"hf:{tmp_path / 'words.parquet'}")
    data = photos_of["owl"][0]
    Dataset.from_dict({"left": [data], "right": [data]}).to_parquet(tmp_path / "two.parquet")
    with pytest.raises(ImageSetError, match=r"has several image columns; choose with \?image=left or right"):
        open_images(f"hf:{tmp_path / 'two.parquet'}")
    images = open_images(f"hf:{tmp_path / 'two.parquet'}?image=left")
    assert (images.classes, images.labels.tolist()) == ((), [UNLABELLED])


def test_a_hub_out_of_reach_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ImageSetError, match=r"hf:no/such:train cannot be loaded .*; give a local path, a name on the hub"
    ):
        open_images("hf:no/such:train")


def test_rows_without_an_image_and_labels_that_are_lists(
    photos_of: dict[str, list[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = Features({"image": datasets.Image(), "label": Value("float64"), "tags": [Value("string")]})
    rows = {
        "image": [{"bytes": photos_of["owl"][0], "path": None}, None, {"bytes": b"no image", "path": "x.png"}],
        "label": [1.0, float("nan"), 0.0],
        "tags": [["owl", "bird"], ["owl"], []],
    }
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "birds.parquet")
    images = open_images(f"hf:{tmp_path / 'birds.parquet'}")
    assert (images.classes, images.labels.tolist()) == (("0", "1"), [1, UNLABELLED, 0])
    assert scan_images(images).readable.tolist() == [True, False, False]
    assert "1 label is blank, NaN or -1: taken as none" in capsys.readouterr().err
    with pytest.raises(ImageSetError, match=r"the label in row 1 is \['owl', 'bird'\], no word or number"):
        open_images(f"hf:{tmp_path / 'birds.parquet'}?label=tags")

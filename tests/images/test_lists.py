"""Image lists, and Fashion-MNIST."""

import json
from pathlib import Path

import pytest
from PIL import Image

from gpt4image.errors import ImageSetError
from gpt4image.images import UNLABELLED, open_images, scan_images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_an_empty_word_is_no_folder() -> None:
    with pytest.raises(ImageSetError, match="the word for the images is empty"):
        open_images("")


def test_csv_keeps_labels_as_words_and_further_columns(photos: Path) -> None:
    (photos / "list.csv").write_text('path,label,place\n0.png,007,"Rome, Italy"\n1.png,,Oslo\n2.png,7,Bern\n')
    images = open_images(str(photos / "list.csv"))
    assert images.classes == ("007", "7")
    assert images.labels.tolist() == [0, UNLABELLED, 1]
    assert images.columns["place"] == ["Rome, Italy", "Oslo", "Bern"]
    assert images.decode(2).getpixel((0, 0)) == (2, 0, 0)


def test_condition_takes_matching_rows(photos: Path) -> None:
    rows = [{"path": "0.png", "label": "a", "small": True}, {"path": "1.png", "label": "b"}]
    (photos / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    images = open_images(f"{photos / 'list.jsonl'}?small=true")
    assert images.keys == ["0.png"]
    with pytest.raises(ImageSetError, match="does not name a column"):
        open_images(f"{photos / 'list.jsonl'}?big=true")


@pytest.mark.parametrize(
    ("text", "words"),
    [("file,label\n0.png,a\n", "needs the column 'path'"), ("path,label\n0.png,a\n0.png,b\n", "0.png more than once")],
)
def test_refused_lists(photos: Path, text: str, words: str) -> None:
    (photos / "list.csv").write_text(text)
    with pytest.raises(ImageSetError, match=words):
        open_images(str(photos / "list.csv"))


def test_a_listed_file_that_is_missing_is_recorded(photos: Path) -> None:
    (photos / "list.csv").write_text("path,label\n0.png,a\ngone.png,b\n")
    scan = scan_images(open_images(str(photos / "list.csv")))
    assert list(scan.errors) == ["gone.png"]


def test_fashion_mnist_is_the_published_data() -> None:
    images = open_images("fashion-mnist:test")
    assert len(images) == 10_000
    labels = images.labels
    assert [int((labels == label).sum()) for label in range(10)] == [1000] * 10
    # The published file's first ten labels, and the known first image: an ankle boot.
    assert labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert images.classes[labels[0]] == "Ankle boot"
    assert images.decode(0).size == (28, 28)


def test_described_thousand_are_rows_of_the_training_file() -> None:
    described, everything = open_images("fashion-mnist:1k"), open_images("fashion-mnist:train")
    assert len(described) == 1000
    row = int(described.keys[5].split("/")[1])
    assert described.read_bytes(5) == everything.read_bytes(row)
    assert described.labels[5] == everything.labels[row]

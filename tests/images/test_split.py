"""Test images are set aside by class, by their bytes, and once."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from gpt4image.errors import ImageSetError, SettingsError
from gpt4image.images import open_images, scan_images
from gpt4image.images.split import SplitSettings, split


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(24):
        path = tmp_path / "photos" / ("cat", "dog", "_unlabelled")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    (tmp_path / "photos" / "dog" / "broken.png").write_bytes(b"no image")
    return tmp_path / "photos"


def _aside(path: Path) -> set[str]:
    return set(scan_images(open_images(f"{path}?split=test")).digests)


def test_a_share_of_each_class_is_set_aside_and_stays_so(photos: Path) -> None:
    result = split(SplitSettings(str(photos), test_share=0.25))
    assert (result.num_train, result.num_test, result.num_unreadable) == (20, 4, 1)
    train, test = (open_images(f"{result.list}?split={side}") for side in ("train", "test"))
    assert result.list == photos.with_name("photos.csv")
    assert train.classes == test.classes == ("cat", "dog")
    assert sorted(test.labels.tolist()) == [0, 0, 1, 1]
    assert sorted(train.labels.tolist()).count(-1) == 8, "unlabelled images are for training"
    assert not set(train.keys) & set(test.keys)
    assert test.decode(0).size == (8, 8)
    again = split(SplitSettings(str(photos), test_share=0.5))
    assert (again.num_test, again.is_new) == (4, False)
    assert "is there already and was kept" in next(again.lines())


def test_names_do_not_matter_and_copies_stay_together(photos: Path, tmp_path: Path) -> None:
    first = split(SplitSettings(str(photos)))
    moved = Path(shutil.copytree(photos, tmp_path / "moved"))
    for path in list(moved.glob("*/?*.png")):
        path.rename(path.with_name(f"renamed-{path.name}"))
        shutil.copy(path.with_name(f"renamed-{path.name}"), path.with_name(f"copy-{path.name}"))
    second = split(SplitSettings(str(moved), list=tmp_path / "lists" / "moved.csv"))
    assert second.num_test == 2 * first.num_test
    assert _aside(second.list) == _aside(first.list)
    assert _aside(split(SplitSettings(str(photos), tmp_path / "other.csv", seed=1)).list) != _aside(first.list)


def test_mistakes_are_one_clear_line(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--test-share is 1\.5; it must lie between 0 and 1"):
        split(SplitSettings(str(photos), test_share=1.5))
    with pytest.raises(SettingsError, match=r"takes a folder with one sub-folder a class; fashion-mnist:1k is none"):
        split(SplitSettings("fashion-mnist:1k"))
    for path in list((photos / "cat").glob("*.png"))[1:]:
        path.unlink()
    with pytest.raises(ImageSetError, match="class cat has 1 image; splitting takes two or more"):
        split(SplitSettings(str(photos)))


def test_photos_that_joined_after_the_split_are_named(photos: Path) -> None:
    split(SplitSettings(str(photos)))
    Image.new("RGB", (8, 8), (99, 0, 0)).save(photos / "cat" / "new.png")
    (photos / "cat" / "0.png").unlink()
    again = split(SplitSettings(str(photos)))
    assert (again.num_joined, again.joined, again.num_gone) == (1, "cat/new.png", 1)
    lines = list(again.lines())
    assert lines[1].startswith("1 image joined the folder after that, such as cat/new.png, and is not in the list: add")
    assert lines[2] == "1 image of the list is not in the folder any more"


def test_a_list_of_ones_own_is_not_taken_for_the_split(photos: Path) -> None:
    photos.with_name("photos.csv").write_text("id,label\ncat0,cat\n")
    words = r"photos\.csv is there already and is no list that split wrote: its columns are id, label, not path, label"
    with pytest.raises(SettingsError, match=words):
        split(SplitSettings(str(photos)))


@pytest.mark.parametrize("name", ["nan", "NaN", "-1"])
def test_a_class_that_a_list_cannot_name_is_refused(photos: Path, name: str) -> None:
    (photos / "cat").rename(photos / name)
    with pytest.raises(ImageSetError, match=f"in a list '{name}' means that there is no label; rename the folder"):
        split(SplitSettings(str(photos)))
    assert not photos.with_name("photos.csv").exists()


def test_a_class_folder_without_images_does_not_hinder(photos: Path) -> None:
    (photos / "fox").mkdir()
    assert split(SplitSettings(str(photos))).num_test > 0

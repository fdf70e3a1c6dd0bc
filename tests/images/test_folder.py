"""Folders of images: ImageFolder's order, unlabelled images, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.errors import ImageSetError, UnreadableImageError
from gpt4image.images import UNLABELLED, open_images, scan_images


def save(
    path: Path, colour: tuple[int, ...] = (200, 30, 30), mode: str = "RGB", size: tuple[int, int] = (20, 10)
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour if mode != "L" else colour[0]).save(path)


def test_classes_keys_and_order_are_those_of_torchvision(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    for name in ("zebra/b.png", "zebra/deep/a.JPG", "Ant/1.png", "ant/2.png", "10/x.png", "9/y.webp"):
        save(tmp_path / name)
    images, reference = open_images(str(tmp_path)), ImageFolder(str(tmp_path))
    assert list(images.classes) == reference.classes
    pairs = {(str(tmp_path / key), int(label)) for key, label in zip(images.keys, images.labels, strict=True)}
    assert pairs == set(reference.samples)
    assert images.labels.tolist() == [label for _, label in reference.samples]


def test_unlabelled_folder_and_hidden_folders(tmp_path: Path) -> None:
    for name in ("cat/1.png", "_unlabelled/2.png", ".thumbnails/3.png"):
        save(tmp_path / name)
    images = open_images(str(tmp_path))
    assert images.classes == ("cat",)
    assert dict(zip(images.keys, images.labels.tolist(), strict=True)) == {
        "cat/1.png": 0,
        "_unlabelled/2.png": UNLABELLED,
    }


def test_folder_without_classes_is_unlabelled(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    images = open_images(str(tmp_path))
    assert images.labels.tolist() == [UNLABELLED]
    assert images.class_name(0) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "holds no images"),
        (lambda root: (root / "cat").mkdir(), "holds no images"),
        (lambda root: (save(root / "cat/1.png"), save(root / "loose.png")), "beside its class folders"),
    ],
)
def test_refused_folders(tmp_path: Path, make, words: str) -> None:
    make(tmp_path)
    with pytest.raises(ImageSetError, match=words):
        open_images(str(tmp_path))


def test_wrong_names_say_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ImageSetError, match="does not exist; images are a folder"):
        open_images(str(tmp_path / "nowhere"))
    with pytest.raises(ImageSetError, match="is not an image set"):
        open_images(str(tmp_path / "notes.txt"))
    with pytest.raises(ImageSetError, match="choose from train, 1k, test"):
        open_images("fashion-mnist:validation")


def test_broken_images_are_found_and_the_others_keep_their_places(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        (tmp_path / "cat").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"cat/{number}.jpg")
    whole = (tmp_path / "cat/1.jpg").read_bytes()
    (tmp_path / "cat/1.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cat/2.jpg").write_text("this is a text file")
    images = open_images(str(tmp_path))
    scan = scan_images(images)
    assert scan.readable.tolist() == [True, False, False, True]
    assert set(scan.errors) == {"cat/1.jpg", "cat/2.jpg"}
    with pytest.raises(UnreadableImageError, match=r"cat/1\.jpg"):
        images.decode(1)
    readable = images.subset(np.flatnonzero(scan.readable))
    assert readable.keys == ["cat/0.jpg", "cat/3.jpg"]
    assert readable.read_bytes(1) == (tmp_path / "cat/3.jpg").read_bytes()


def test_only_broken_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.jpg").write_text("no image")
    with pytest.raises(ImageSetError, match="none of 1 images can be decoded"):
        scan_images(open_images(str(tmp_path)))


def test_scan_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "cat/1.png")
    save(tmp_path / "cat/2.png", (1, 2, 3))
    images = open_images(str(tmp_path))
    first = scan_images(images)
    read = []
    monkeypatch.setattr(type(images.store), "read_bytes", lambda self, position: read.append(position) or b"")
    assert scan_images(images).digests == first.digests
    assert read == []
    monkeypatch.undo()
    save(tmp_path / "cat/2.png", (9, 9, 9), size=(30, 30))
    second = scan_images(images)
    assert second.digests[0] == first.digests[0]
    assert second.digests[1] != first.digests[1]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    (tmp_path / "cat").mkdir()
    if mode == "I;16":
        Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(tmp_path / "cat/1.png")
    else:
        Image.new("RGB", (8, 8), (200, 100, 50)).convert(mode).save(tmp_path / f"cat/1.{suffix}")
    image = open_images(str(tmp_path)).decode(0)
    assert image.mode == "RGB"
    if mode == "I;16":
        assert image.getpixel((0, 0)) == (156, 156, 156)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "cat/1.jpg", exif=exif)
    assert open_images(str(tmp_path)).decode(0).size == (10, 20)


def test_labels_by_the_names_of_a_trained_model(tmp_path: Path) -> None:
    save(tmp_path / "dog/1.png")
    save(tmp_path / "cat/1.png")
    images = open_images(str(tmp_path))
    assert images.with_classes(["ant", "cat", "dog"]).labels.tolist() == [1, 2]
    with pytest.raises(ImageSetError, match="has images of 'dog'"):
        images.with_classes(["cat"])


@pytest.mark.parametrize("name", ["unlabeled", "Unlabelled", "_Unlabeled", "unlabelled_"])
def test_other_spellings_of_unlabelled_are_classes_and_said(tmp_path: Path, name: str) -> None:
    save(tmp_path / "cat" / "1.png")
    save(tmp_path / name / "2.png")
    images = open_images(str(tmp_path))
    assert name in images.classes
    assert f"{name} is taken for a class; call it _unlabelled if its images have no label" in images.remarks.lines()


def test_links_between_classes_and_to_folders_elsewhere(tmp_path: Path) -> None:
    for name in ("photos/ant/1.png", "photos/bee/2.png", "elsewhere/deep/3.png"):
        save(tmp_path / name)
    (tmp_path / "photos" / "ant" / "to_bee").symlink_to("../bee")
    (tmp_path / "photos" / "bee" / "to_ant").symlink_to("../ant")
    (tmp_path / "photos" / "cow").symlink_to("../elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path)
    images = open_images(str(tmp_path / "photos"))
    assert dict(zip(images.keys, images.labels.tolist(), strict=True)) == {
        "ant/1.png": 0,
        "bee/2.png": 1,
        "cow/deep/3.png": 2,
    }
    assert images.classes == ("ant", "bee", "cow")
    assert images.remarks.left_out["link (to a folder that is in the set already)"].count == 3


def test_devices_pipes_and_folders_in_a_list_are_unreadable_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    save(tmp_path / "0.png")
    (tmp_path / "list.csv").write_text("path\n0.png\npipe.png\nfolder.png\n/dev/zero\n")
    scan = scan_images(open_images(str(tmp_path / "list.csv")))
    assert scan.errors == {name: f"{name}: is no regular file" for name in ("pipe.png", "folder.png", "/dev/zero")}

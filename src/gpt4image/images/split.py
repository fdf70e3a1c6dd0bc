"""`gpt4image split`: sets test images aside, before anything has looked at them."""

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.errors import ImageSetError, SettingsError
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.images.image_set import ImageSet

COLUMN, TRAIN, TEST = "split", "train", "test"


@dataclass(frozen=True)
class SplitSettings:
    """Write a list of images of which a share of each class is set aside for testing.

    Attributes:
        images: a folder with one sub-folder a class.
        list: the list to write, a .csv; FOLDER.csv beside the folder if not given.
        test_share: share of each class's images that is set aside.
        seed: another seed sets others aside.
    """

    images: str
    list: Path | None = None
    test_share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class SplitResult(StageResult):
    """What was written.

    Attributes:
        list: the list.
        num_train: images for training, unlabelled ones included.
        num_test: images set aside.
        num_unreadable: images left out.
        is_new: whether the list was written now.
    """

    list: Path
    num_train: int
    num_test: int
    num_unreadable: int
    is_new: bool

    def lines(self) -> Iterator[Any]:
        if not self.is_new:
            yield f"{self.list} is there already and was kept: what is set aside stays so"
        left_out = f", {self.num_unreadable} unreadable left out" if self.num_unreadable else ""
        yield f"{self.num_train} images for training: {self.list}?{COLUMN}={TRAIN}{left_out}"
        yield f"{self.num_test} images for testing:  {self.list}?{COLUMN}={TEST}"


def split(settings: SplitSettings) -> SplitResult:
    """Writes the list; one that is there already is kept.

    Equal files land on the same side. Which images are set aside depends on their bytes, not on their names.

    Raises:
        ImageSetError: there is no such folder, or a class has a single image.
        SettingsError: the share is none, or the list has another form.
    """
    from gpt4image.images import open_images

    if not 0 < settings.test_share < 1:
        raise SettingsError(f"--test-share is {settings.test_share}; it must lie between 0 and 1")
    folder = Path(settings.images).expanduser()
    path = settings.list or folder.with_name(f"{folder.resolve().name}.csv")
    if path.suffix.lower() != ".csv" or not folder.is_dir():
        raise SettingsError(f"split takes a folder and writes a .csv; given were {settings.images} and {path}")
    is_new = not path.exists()
    num_unreadable = _write(open_images(settings.images), folder, path, settings) if is_new else 0
    with path.open(newline="", encoding="utf-8") as file:
        sides = [row[COLUMN] for row in csv.DictReader(file)]
    return SplitResult(path, sides.count(TRAIN), sides.count(TEST), num_unreadable, is_new)


def _write(images: "ImageSet", folder: Path, path: Path, settings: SplitSettings) -> int:
    """Writes the list and returns how many images could not be read."""
    from gpt4image.files import atomic_path
    from gpt4image.images.scan import scan_images

    scan = scan_images(images)
    aside = _set_aside(images, scan.digests, scan.readable, settings)
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", COLUMN])
        for index in range(len(images)):
            if scan.readable[index]:
                place = os.path.relpath(folder / images.keys[index], path.parent)
                side = TEST if scan.digests[index] in aside else TRAIN
                writer.writerow([Path(place).as_posix(), images.class_name(index) or "", side])
    return len(scan.errors)


def _set_aside(images: "ImageSet", digests: "list[str]", readable: Any, settings: SplitSettings) -> set[str]:
    """Digests of the images for testing: of each class those whose digests come first when hashed with the seed."""
    aside: set[str] = set()
    for label, name in enumerate(images.classes):
        own = {digests[i] for i in range(len(images)) if images.labels[i] == label and readable[i]}
        if len(own) < 2:
            raise ImageSetError(f"{images.source}: class {name} has {len(own)} image; splitting takes two or more")
        ordered = sorted(own, key=lambda digest: hashlib.sha256(f"{settings.seed} {digest}".encode()).digest())
        aside.update(ordered[: min(max(1, round(settings.test_share * len(own))), len(own) - 1)])
    return aside

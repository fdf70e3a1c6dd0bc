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
        num_joined: readable images that lie in the folder, but came after the list was written.
        joined: one of them.
        num_gone: images of the list that are not in the folder any more.
        unreadable: key of an image that was left out, and why.
    """

    list: Path
    num_train: int
    num_test: int
    num_unreadable: int
    is_new: bool
    num_joined: int = 0
    joined: str = ""
    num_gone: int = 0
    unreadable: str = ""

    def lines(self) -> Iterator[Any]:
        if not self.is_new:
            yield f"{self.list} is there already and was kept: what is set aside stays so"
        if self.num_joined:
            images = "1 image joined" if self.num_joined == 1 else f"{self.num_joined:,} images joined"
            are = "is" if self.num_joined == 1 else "are"
            yield (
                f"{images} the folder after that, such as {self.joined}, and {are} not in the list: add a row for "
                "each, or split anew into another list (--list FILE.csv)"
            )
        if self.num_gone:
            images = "1 image of the list is" if self.num_gone == 1 else f"{self.num_gone:,} images of the list are"
            yield f"{images} not in the folder any more"
        left_out = f", {self.num_unreadable} unreadable left out ({self.unreadable})" if self.num_unreadable else ""
        yield f"{self.num_train} images for training: {self.list}?{COLUMN}={TRAIN}{left_out}"
        yield f"{self.num_test} images for testing:  {self.list}?{COLUMN}={TEST}"


def split(settings: SplitSettings) -> SplitResult:
    """Writes the list; one that is there already is kept.

    Equal files land on the same side. Which images are set aside depends on their bytes, not on their names.

    Raises:
        ImageSetError: there is no such folder, or a class has a single image.
        SettingsError: the share is none, or the file in the list's place is no list that `split` wrote.
    """
    from gpt4image.images import open_images
    from gpt4image.images.tables.columns import read_columns, show_names
    from gpt4image.images.tables.labels import NO_LABEL

    if not 0 < settings.test_share < 1:
        raise SettingsError(f"--test-share is {settings.test_share}; it must lie between 0 and 1")
    folder = Path(settings.images).expanduser()
    path = settings.list or folder.with_name(f"{folder.resolve().name}.csv")
    if not folder.is_dir():
        raise SettingsError(f"split takes a folder with one sub-folder a class; {settings.images} is none")
    if path.suffix.lower() != ".csv":
        raise SettingsError(f"split writes a .csv; {path} is no name of one")
    is_new = not path.exists()
    images = open_images(settings.images)
    if lost := [name for name in images.classes if name.lower() in NO_LABEL]:
        raise ImageSetError(
            f"{images.source}: in a list {' and '.join(map(repr, lost))} means that there is no label; rename the "
            "folder of that class"
        )
    errors = _write(images, folder, path, settings) if is_new else {}
    columns = read_columns(path)
    if not {"path", COLUMN} <= set(columns):
        raise SettingsError(
            f"{path} is there already and is no list that split wrote: its columns are {show_names(columns)}, not "
            f"path, label, {COLUMN}; name another file with --list"
        )
    sides = columns[COLUMN]
    joined, num_gone = ([], 0) if is_new else _compare(images, columns["path"], folder, path)
    first = joined[0] if joined else ""
    num_train, num_test = sides.count(TRAIN), sides.count(TEST)
    unreadable = next(iter(errors.values()), "")
    return SplitResult(path, num_train, num_test, len(errors), is_new, len(joined), first, num_gone, unreadable)


def _compare(images: "ImageSet", listed: "list[str]", folder: Path, path: Path) -> "tuple[list[str], int]":
    """Keys of the readable images that the list lacks, and how many it names that are gone."""
    from gpt4image.images.scan import scan_images

    known = set(listed)
    places = [_place(folder, key, path) for key in images.keys]
    joined = [index for index, place in enumerate(places) if place not in known]
    if joined:
        scan = scan_images(images)
        joined = [index for index in joined if scan.readable[index]]
    return [images.keys[index] for index in joined], len(known - set(places))


def _place(folder: Path, key: str, path: Path) -> str:
    """The path of an image, relative to the list's folder, as the list has it."""
    return Path(os.path.relpath(folder / key, path.parent)).as_posix()


def _write(images: "ImageSet", folder: Path, path: Path, settings: SplitSettings) -> dict[str, str]:
    """Writes the list and returns the images that could not be read, and why."""
    from gpt4image.files import atomic_path
    from gpt4image.images.scan import scan_images

    scan = scan_images(images)
    aside = _set_aside(images, scan.digests, scan.readable, settings)
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", COLUMN])
        for index in range(len(images)):
            if scan.readable[index]:
                side = TEST if scan.digests[index] in aside else TRAIN
                writer.writerow([_place(folder, images.keys[index], path), images.class_name(index) or "", side])
    return scan.errors


def _set_aside(images: "ImageSet", digests: "list[str]", readable: Any, settings: SplitSettings) -> set[str]:
    """Digests of the images for testing: of each class those whose digests come first when hashed with the seed."""
    aside: set[str] = set()
    for label, name in enumerate(images.classes):
        own = {digests[i] for i in range(len(images)) if images.labels[i] == label and readable[i]}
        if not own:
            continue
        if len(own) < 2:
            raise ImageSetError(f"{images.source}: class {name} has {len(own)} image; splitting takes two or more")
        ordered = sorted(own, key=lambda digest: hashlib.sha256(f"{settings.seed} {digest}".encode()).digest())
        aside.update(ordered[: min(max(1, round(settings.test_share * len(own))), len(own) - 1)])
    return aside

"""Image sets as people have them, what is taken and what is said of them: the table in docs/your_images.md."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.errors import ImageSetError
from gpt4image.images import open_images, scan_images
from gpt4image.images.remarks import Remarks

DOCS = Path(__file__).parents[2] / "docs" / "your_images.md"
START, END = "<!-- taken, left out, said -->", "<!-- end -->"
_made = 0


def picture() -> Image.Image:
    """A small picture that no other is like."""
    global _made
    _made += 1
    return Image.fromarray(np.random.default_rng(_made).integers(0, 255, (12, 16, 3), dtype=np.uint8))


def save(*names: str) -> None:
    """Small photos under these names, whatever their suffix: those that cannot be written in it are PNGs."""
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            picture().save(path)
        except (ValueError, OSError):
            picture().save(path, "PNG")


def write(name: str, text: str = "") -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        lies: what lies there, in the words of the docs.
        taken: how many images are taken; None if the set is refused.
        said: each line that is said, without the name of the set; or the words of the error.
        make: makes it in the current folder.
        source: the set's word.
        unreadable: keys of images that are recorded as unreadable.
    """

    lies: str
    taken: int | None
    said: tuple[str, ...]
    make: Callable[[], object]
    source: str = "photos"
    unreadable: tuple[str, ...] = ()

    def row(self) -> str:
        """The row of the table."""
        taken = "refused, exit status 2" if self.taken is None else f"{self.taken} image{'s' * (self.taken != 1)}"
        taken += f", {len(self.unreadable)} of them recorded as unreadable" if self.unreadable else ""
        return f"| {self.lies} | {taken} | {' · '.join(f'`{line}`' for line in self.said) or 'nothing'} |"


def basic() -> None:
    save("photos/cat/0.jpg", "photos/dog/0.jpg")


def with_list(text: str) -> Callable[[], None]:
    def make() -> None:
        basic()
        write("list.csv", text)

    return make


def write_shard(name: str, files: dict[str, str]) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(name, "w") as tar:
        for member, text in files.items():
            buffer = io.BytesIO()
            if member.endswith(".jpg"):
                picture().save(buffer, "JPEG")
            data = buffer.getvalue() or text.encode()
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def other_formats() -> None:
    basic()
    save(*(f"photos/cat/x.{suffix}" for suffix in ("gif", "jfif", "jpe", "avif", "jp2", "webp", "bmp", "tif", "tga")))
    save("photos/dog/x.JPEG", "photos/dog/x.qoi")


def left_out_files() -> None:
    basic()
    for name in ("cat/a.heic", "cat/b.heic", "dog/a.eps", "dog/a.txt", "dog/notes"):
        write(f"photos/{name}", "%!PS")


def system_folders() -> None:
    basic()
    save("photos/__MACOSX/cat/._0.jpg", "photos/cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", "photos/cat/._0.jpg")
    save("photos/cat/deep/.ipynb_checkpoints/0-checkpoint.jpg", "photos/dog/.thumbnails/0.jpg")


def circle() -> None:
    basic()
    save("elsewhere/1.jpg")
    os.symlink("..", "photos/cat/up")
    os.symlink("loop", "photos/cat/loop")
    os.symlink("../../elsewhere", "photos/dog/more")
    os.symlink("../../elsewhere", "photos/dog/still_more")


def broken_items() -> None:
    basic()
    os.symlink("nowhere.jpg", "photos/cat/gone.jpg")
    os.mkfifo("photos/cat/pipe.jpg")
    write("photos/dog/text.png", "no image")


def copies() -> None:
    basic()
    Path("photos/dog/copy.jpg").write_bytes(Path("photos/cat/0.jpg").read_bytes())


def damaged_shard() -> None:
    write_shard("s/a.tar", {"0.jpg": "", "0.cls": "1", "1.jpg": "", "1.cls": "0"})
    data = bytearray(Path("s/a.tar").read_bytes())
    place = data.index(b"1.jpg")
    data[place : place + 300] = b"\xff" * 300
    Path("s/a.tar").write_bytes(data)


CASES = [
    Case(
        "`.jpg .png .gif .jfif .jpe .avif .jp2 .webp .bmp .tif .tga …`: all that Pillow decodes", 13, (), other_formats
    ),
    Case(
        "other files",
        2,
        (
            "left out: 2 .heic (no decoder), 1 .eps (no decoder), 1 .txt, 1 file (without a suffix); "
            "such as cat/a.heic, dog/a.eps, dog/a.txt",
        ),
        left_out_files,
    ),
    Case(
        "`__MACOSX`, `._0.jpg`, `@eaDir`, hidden folders at any depth",
        2,
        ("left out: 4 folders (not part of the set), 1 hidden file; such as __MACOSX, cat/._0.jpg",),
        system_folders,
    ),
    Case(
        "links: in a circle, to nothing, two to one folder",
        3,
        (
            "left out: 2 links (to a folder that is in the set already), 1 link (leads nowhere); "
            "such as cat/up, cat/loop",
        ),
        circle,
    ),
    Case(
        "a broken image, a link to nothing, a named pipe, each with the name of an image",
        5,
        (),
        broken_items,
        unreadable=("cat/gone.jpg", "cat/pipe.jpg", "dog/text.png"),
    ),
    Case(
        "a class folder without images",
        2,
        ("1 class folder holds no images: fox",),
        lambda: (basic(), Path("photos/fox").mkdir()),
    ),
    Case(
        "`_unlabeled`",
        3,
        ("_unlabeled is taken for _unlabelled: its images have no label",),
        lambda: (basic(), save("photos/_unlabeled/1.jpg")),
    ),
    Case(
        "no sub-folders",
        2,
        ("there are no class folders: all 2 images are taken as unlabelled (one sub-folder a class makes labels)",),
        lambda: save("photos/0.jpg", "photos/1.jpg"),
    ),
    Case(
        "images beside class folders",
        None,
        ("photos has 1 image beside its class folders (such as loose.jpg)",),
        lambda: (basic(), save("photos/loose.jpg")),
    ),
    Case(
        "folders called `nan`, `-1` or `unknown`",
        2,
        ("-1, unknown are taken for classes; call them _unlabelled if their images have no label",),
        lambda: save("photos/-1/0.jpg", "photos/unknown/1.jpg"),
    ),
    Case(
        "folders `train`, `val` in the place of classes",
        2,
        ("train, val are taken for classes, but look like parts of a set: give one of them, such as photos/train",),
        lambda: save("photos/train/cat/0.jpg", "photos/val/cat/1.jpg"),
    ),
    Case(
        "parts of a set in other spellings, such as `Train_images`, `val2017`, `Test Set`",
        3,
        (
            "Test Set, Train_images, val2017 are taken for classes, but look like parts of a set: give one of them, "
            "such as photos/Test Set",
        ),
        lambda: save("photos/Train_images/0.jpg", "photos/val2017/1.jpg", "photos/Test Set/2.jpg"),
    ),
    Case(
        "`images` beside `labels` or `Annotations`, as programs for boxes write them",
        1,
        (
            "left out: 1 .txt; such as labels/0.txt",
            "1 class folder holds no images: labels",
            "images is the only class with images; if it holds the classes, give photos/images",
        ),
        lambda: [save("photos/images/0.jpg"), write("photos/labels/0.txt", "0 0.5 0.5 0.1 0.1")],
    ),
    Case(
        "class folders that hold but folders: `animals/cat`, `plants/oak`",
        2,
        (
            "the classes are animals, plants, but all images lie deeper, such as animals/cat/0.jpg: give one of these "
            "folders if it holds the classes",
        ),
        lambda: save("photos/animals/cat/0.jpg", "photos/plants/oak/0.jpg"),
    ),
    Case(
        "one folder around all classes",
        2,
        ("all is the only class; if it holds the classes, give photos/all",),
        lambda: save("photos/all/cat/0.jpg", "photos/all/dog/1.jpg"),
    ),
    Case(
        "the same picture in two classes",
        3,
        (
            "1 picture lies in several classes (2 files of the same bytes), such as cat/0.jpg (cat) and "
            "dog/copy.jpg (dog); keep one of each",
        ),
        copies,
    ),
    Case(
        "a list whose images stand in another column",
        None,
        ("list.csv has the columns file, class; an image list needs the column 'path'",),
        with_list("file,class\nphotos/cat/0.jpg,cat\n"),
        "list.csv",
    ),
    Case(
        "a list whose labels stand in another column",
        1,
        ("there is no column 'label': its images are unlabelled; its columns are path, class",),
        with_list("path,class\nphotos/cat/0.jpg,cat\n"),
        "list.csv",
    ),
    Case(
        "labels `cat ` beside `cat`, and separators `; ` or tabs",
        2,
        ("1 label was trimmed: spaces around it, or another Unicode form",),
        with_list("path;label\nphotos/cat/0.jpg;cat\nphotos\\dog\\0.jpg;cat \n"),
        "list.csv",
    ),
    Case(
        "labels that are blank, `NaN` or `-1`",
        2,
        ("2 labels are blank, NaN or -1: taken as none, these images are unlabelled",),
        with_list("path,label\nphotos/cat/0.jpg,NaN\nphotos/dog/0.jpg,-1\n"),
        "list.csv",
    ),
    Case(
        "several labels an image",
        None,
        ("list.jsonl: the label in row 1 is ['cat', 'pet'], no word or number",),
        lambda: write("list.jsonl", json.dumps({"path": "x.jpg", "label": ["cat", "pet"]})),
        "list.jsonl",
    ),
    Case(
        "a list in the cell of a label",
        None,
        ("list.csv: the label in row 1 is ['cat', 'pet'], no word or number",),
        with_list("path,label\nphotos/cat/0.jpg,\"['cat', 'pet']\"\n"),
        "list.csv",
    ),
    Case(
        "several labels in a cell, between `;`, or commas where each part is a class",
        4,
        ("taken for one class each: cat, dog, cat;pet; an image has one label",),
        with_list('path,label\nphotos/cat/0.jpg,cat;pet\nphotos/dog/0.jpg,"cat, dog"\nx/1.jpg,cat\nx/2.jpg,dog\n'),
        "list.csv",
        ("x/1.jpg", "x/2.jpg"),
    ),
    Case(
        "`path, label` with a space behind the comma, also before quotes",
        2,
        (),
        with_list('path, label\n"photos/cat/0.jpg", "cat"\n"photos/dog/0.jpg", "a dog"\n'),
        "list.csv",
    ),
    Case(
        "a space before a quote only",
        2,
        (
            "2 labels were trimmed: spaces, or another Unicode form",
            'classes in quotes: "cat", "dog"; in CSV a quote follows the comma at once',
        ),
        with_list('path,label\nphotos/cat/0.jpg, "cat"\nphotos/dog/0.jpg, "dog"\n'),
        "list.csv",
    ),
    Case(
        "labels `unknown`, `?`, `-`, `None`",
        2,
        ("taken for classes: -, unknown; leave the label empty where there is none",),
        with_list("path,label\nphotos/cat/0.jpg,unknown\nphotos/dog/0.jpg,-\n"),
        "list.csv",
    ),
    Case(
        "sentences in the column of labels",
        12,
        ("each of 12 labels stands once only, such as 'picture 0': are they classes?",),
        lambda: [
            save(*(f"x/{number}.jpg" for number in range(12))),
            write("list.csv", "path,label\n" + "".join(f"x/{number}.jpg,picture {number}\n" for number in range(12))),
        ],
        "list.csv",
    ),
    Case(
        "two columns of one name",
        None,
        ("list.csv has two columns 'label' (path, label, label)",),
        with_list("path,label,label\nphotos/cat/0.jpg,cat,x\n"),
        "list.csv",
    ),
    Case(
        "an image twice in a list",
        None,
        ("list.csv names ./photos/cat/0.jpg (as photos/cat/0.jpg) more than once",),
        with_list("path,label\nphotos/cat/0.jpg,cat\n./photos/cat/0.jpg,dog\n"),
        "list.csv",
    ),
    Case(
        "commas outside quotes",
        None,
        ("list.csv, line 3 has 3 fields, but the header has 2 (path, caption)",),
        with_list("path,caption\nphotos/cat/0.jpg,a cat\nphotos/dog/0.jpg,a dog, asleep\n"),
        "list.csv",
    ),
    Case(
        "a shard that braces spell out and that is missing",
        None,
        ("1 of 3 shards are missing: a-1.tar",),
        lambda: [write_shard(f"s/a-{number}.tar", {"0.jpg": ""}) for number in (0, 2)],
        "webdataset:s/a-{0..2}.tar",
    ),
    Case(
        "two shards of one name in two folders: keys `a/0/x`, `b/0/x`",
        2,
        (),
        lambda: [write_shard(f"s/{folder}/0.tar", {"x.jpg": ""}) for folder in "ab"],
        "webdataset:s/*/0.tar",
    ),
    Case(
        "`v0.1.jpg`, `v0.1.cls`, `v0.2.jpg`, `v0.2.cls` in a shard: keys `a/v0.1`, `a/v0.2`",
        2,
        (),
        lambda: write_shard("s/a.tar", {f"v0.{n}.{kind}": "1" for n in (1, 2) for kind in ("jpg", "cls")}),
        "webdataset:s/a.tar",
    ),
    Case(
        "a second image in a sample of a shard",
        None,
        ("the sample x has two images, x.left.jpg and x.right.jpg; a sample has one",),
        lambda: write_shard("s/a.tar", {"x.left.jpg": "", "x.right.jpg": "", "x.cls": "1"}),
        "webdataset:s/a.tar",
    ),
    Case(
        "in a shard a `.json` that is none, and other members",
        2,
        (
            "left out: 1 .json (cannot be read), 1 .txt, 1 file (not part of the set); "
            "such as a/0.json, a/0.txt, a/._0.jpg",
        ),
        lambda: write_shard("s/a.tar", {"0.jpg": "", "0.json": "{", "0.txt": "a cat", "._0.jpg": "", "1.jpg": ""}),
        "webdataset:s/a.tar",
    ),
    Case(
        "in a shard a `.cls` or `.json` whose name is no image's, such as `0.label.cls` beside `0.jpg`",
        1,
        ("left out: 1 .cls (of no image), 1 .json (of no image); such as a/0.label.cls, a/1.json",),
        lambda: write_shard("s/a.tar", {"0.jpg": "", "0.label.cls": "1", "1.json": "{}"}),
        "webdataset:s/a.tar",
    ),
    Case(
        "a damaged shard",
        1,
        ("a.tar is damaged or cut off behind 0.cls: what follows there is left out",),
        damaged_shard,
        "webdataset:s/a.tar",
    ),
]


def table() -> str:
    """The table of the docs."""
    return "\n".join(
        ["| what lies there | what is taken | what is said |", "|---|---|---|", *(case.row() for case in CASES)]
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.lies)
def test_what_is_taken_and_said(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr("gpt4image.images.open._say_once", said.append)
    monkeypatch.setattr("gpt4image.images.scan.say", said.append)
    monkeypatch.chdir(tmp_path)
    case.make()
    if case.taken is None:
        with pytest.raises(ImageSetError) as caught:
            open_images(case.source)
        assert case.said[0] in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    images = open_images(case.source)
    scan = scan_images(images)
    assert len(images) == len(set(images.keys)) == case.taken
    assert tuple(sorted(scan.errors)) == case.unreadable
    assert said == [f"{case.source}: {line}" for line in case.said]


def test_the_table_in_the_docs_is_made_of_these_cases() -> None:
    shown = DOCS.read_text(encoding="utf-8").partition(START)[2].partition(END)[0].strip()
    assert shown == table(), f"replace the table in {DOCS.name} by:\n{table()}"


def test_lines_count_and_give_examples() -> None:
    remarks = Remarks()
    for number in range(14):
        remarks.leave_out(f".{number}", f"x.{number}", count=1000)
    remarks.add("two classes are alike")
    first, second = remarks.lines()
    assert first.startswith("left out: 1,000 .0, 1,000 .1, ")
    assert first.endswith(", 1,000 .11, 2 more kinds; such as x.0, x.1, x.2")
    assert second == "two classes are alike"
    assert list(Remarks().lines()) == []

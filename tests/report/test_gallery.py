"""The gallery's data, its files, and a person's changes to the store."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from gpt4image.cli import main
from gpt4image.describe.store.connect import FILE_NAME
from gpt4image.describe.store.edits import Editor, read_queued
from gpt4image.describe.store.rows import DescribedImage, Description, Name
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import DescriptionError
from gpt4image.report.gallery.data import PART_SIZE, GalleryData
from gpt4image.report.gallery.entries import read_entries
from gpt4image.report.pictures import make_thumbnail

DIGESTS = [f"{number:064x}" for number in range(1, 4)]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Three images: two with the same text, one refused and without a class; one text holds a script."""
    with DescriptionStore.open(tmp_path / "work", create=True) as store:
        names = [("b/1.jpg", "bag"), ("a/2.jpg", "arm"), ("c.jpg", None)]
        store.write_images(DescribedImage(d, *name) for d, name in zip(DIGESTS, names, strict=True))
        store.write([Description(d, "short@1", "vlm", text="A bag.") for d in DIGESTS[:2]])
        store.write([Description(DIGESTS[0], "tags@1", "vlm", text="</script><script>alert(1)</script>")])
        store.write([Description(DIGESTS[2], "short@1", "vlm", state=State.REFUSED, error="no")])
    return tmp_path / "work"


def test_entries_are_ordered_and_marked(work: Path) -> None:
    entries = read_entries(work)
    assert [entry.key for entry in entries] == ["a/2.jpg", "b/1.jpg", "c.jpg"]
    assert [len(entry.descriptions) for entry in entries] == [1, 2, 1]
    assert all("duplicates" in marks for marks in (entries[0].marks[0], entries[1].marks[0]))
    assert "label leakage" in entries[1].marks[0]
    assert not any("duplicates" in marks for marks in (entries[1].marks[1], entries[2].marks[0]))
    assert [entry.marks for entry in read_entries(work, lint=False)] == [((),), ((), ()), ((),)]
    assert entries[2].descriptions[0].state == State.REFUSED


def test_scripts_hold_the_data_and_nothing_that_runs(work: Path) -> None:
    data = GalleryData(read_entries(work), frozenset(DIGESTS[:1]), "work")
    index = data.index_script()
    facts = json.loads(index.removeprefix("gallery.index(").rstrip().removesuffix(");"))
    assert [facts["classes"][number] for number in facts["classOf"]] == ["arm", "bag", ""]
    assert [facts["states"][bits.bit_length() - 1] for bits in facts["statesOf"]] == ["ok", "ok", "refused"]
    duplicates = facts["marks"].index("duplicates")
    assert [bits >> duplicates & 1 for bits in facts["marksOf"]] == [1, 1, 0]
    part = data.part_script(0)
    number, entries = json.loads("[" + part.removeprefix("gallery.part(").rstrip().removesuffix(");") + "]")
    assert number == 0
    assert [entry[3] for entry in entries] == [0, 1, 0]
    assert entries[1][4][1][4] == "</script><script>alert(1)</script>"
    assert part.count("\n") == 1


def test_parts_hold_all_entries(tmp_path: Path) -> None:
    with DescriptionStore.open(tmp_path, create=True) as store:
        store.write_images(DescribedImage(f"{n:064x}", f"{n:05}", None) for n in range(PART_SIZE + 1))
    data = GalleryData(read_entries(tmp_path), frozenset(), "work")
    assert data.num_parts() == 2
    assert data.part_script(1).count("00500") == 1


def test_edit_reject_requeue_undo(work: Path) -> None:
    editor, name = Editor(work, "ada"), Name(DIGESTS[0], "short@1", "vlm", 0)

    def current() -> Description | None:
        with DescriptionStore.open(work) as store:
            return store.find([name.digest], name.prompt, name.describer).get(name.digest)

    original = current()
    editor.edit(name, " A red bag. ")
    edited = current()
    assert edited is not None
    assert (edited.text, edited.author, edited.state) == ("A red bag.", "person", State.OK)
    editor.reject(name)
    assert getattr(current(), "state", None) == State.REJECTED
    editor.requeue(name)
    assert current() is None
    assert read_queued(work) == {name.digest: (name,)}

    again = Editor(work)
    for expected in (State.REJECTED, State.OK):
        assert again.undo(name.digest)
        assert getattr(current(), "state", None) == expected
    assert again.undo(name.digest)
    assert current() == original
    assert not again.undo(name.digest)
    assert read_queued(work) == {}
    with closing(sqlite3.connect(work / FILE_NAME)) as connection:
        kept = connection.execute("SELECT digest, action, author, undone FROM edits ORDER BY number").fetchall()
    assert kept == [(name.digest, action, "ada", 1) for action in ("edit", "reject", "requeue")]


def test_queued_ends_when_it_is_described_again(work: Path) -> None:
    name = Name(DIGESTS[0], "short@1", "vlm", 0)
    Editor(work).requeue(name)
    assert [entry.queued for entry in read_entries(work)] == [(), (name,), ()]
    with DescriptionStore.open(work) as store:
        store.write([Description(DIGESTS[0], "short@1", "vlm", text="New.")])
    assert read_queued(work) == {}


def test_changes_that_cannot_be_are_refused(work: Path) -> None:
    editor = Editor(work)
    with pytest.raises(DescriptionError, match="an empty text is no description"):
        editor.edit(Name(DIGESTS[0], "short@1", "vlm", 0), " ")
    with pytest.raises(DescriptionError, match="there is no description of 000000000000 by vlm for tags@1"):
        editor.reject(Name(DIGESTS[1], "tags@1", "vlm", 0))


def test_command_writes_pages_and_thumbnails_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, work = tmp_path / "photos", tmp_path / "work"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (400, 300), (number * 80, 9, 9)).save(photos / f"{number}.jpg")
    rows = "".join(json.dumps({"path": f"{n}.jpg", "description": f"Text {n}."}) + "\n" for n in range(3))
    (tmp_path / "texts.jsonl").write_text(rows)
    replay = ["--describer", "replay", "--file", str(tmp_path / "texts.jsonl")]
    assert main(["describe", str(photos), str(work), *replay]) == 0
    assert main(["gallery", str(work), "--images", str(photos)]) == 0
    assert "3 images with 3 descriptions; 3 can be seen" in capsys.readouterr().out
    thumbnails = sorted((work / "gallery").rglob("*.jpg"))
    assert max(Image.open(thumbnails[0]).size) == 200
    times = [path.stat().st_mtime_ns for path in thumbnails]
    assert main(["gallery", str(work), "--images", str(photos)]) == 0
    assert [path.stat().st_mtime_ns for path in thumbnails] == times
    assert main(["gallery", str(tmp_path / "none")]) == 2
    assert "does not exist; write descriptions first" in capsys.readouterr().err


def test_labels_are_shown_with_the_texts_or_without(
    label_maker: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = label_maker.make_labels(tmp_path)
    assert main(["gallery", str(tmp_path / "work")]) == 0
    assert "6 images with 0 descriptions; 6 can be seen" in (shown := capsys.readouterr().out)
    assert "6 of them with weighed labels" in shown
    digests = table.rows["digest"].to_pylist()
    with DescriptionStore.open(tmp_path / "work", create=True) as store:
        store.write_images([DescribedImage(digests[0], "000.png", None), DescribedImage(DIGESTS[0], "x.png", None)])
        store.write([Description(digests[0], "short@1", "vlm", text="Blue.")])
    entries = read_entries(tmp_path / "work", table=table)
    assert [(entry.key, len(entry.descriptions)) for entry in entries[:2]] == [("000.png", 1), ("001.png", 0)]
    assert entries[1].label == ("bee", "cat", "overruled", 0.42)
    assert (entries[6].key, entries[6].label) == ("x.png", None)
    data = GalleryData(entries, frozenset(digests), "work")
    facts = json.loads(data.index_script().removeprefix("gallery.index(").rstrip().removesuffix(");"))
    states = [facts["labels"][number] if number >= 0 else "" for number in facts["labelOf"]]
    assert states == ["kept", "overruled", "overruled", "kept", "overruled", "overruled", ""]
    part = json.loads("[" + data.part_script(0).removeprefix("gallery.part(").rstrip().removesuffix(");") + "]")
    given, proposed, state, confidence = part[1][1][6]
    assert [facts["classes"][given], facts["classes"][proposed], facts["labels"][state]] == ["bee", "cat", "overruled"]
    assert confidence == 0.42
    assert part[1][6][6] is None
    assert main(["gallery", str(tmp_path / "work"), "--labels", "other"]) == 2
    assert "holds no labels; there are default" in capsys.readouterr().err
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    assert main(["gallery", str(tmp_path / "work")]) == 0
    assert "say where the images are with --images" in capsys.readouterr().err


def test_tiny_images_are_enlarged_in_whole_steps() -> None:
    checks = Image.fromarray((np.indices((28, 28)).sum(0) % 2 * 255).astype(np.uint8))
    large = np.asarray(make_thumbnail(checks))
    assert large.shape == (112, 112)
    assert (large[::4, ::4] == np.asarray(checks)).all()

"""The label stage from a folder and a store to the artifact, and out of it to other trainers."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from gpt4image.describe.store.rows import DescribedImage, Description
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import LabelError, SettingsError
from gpt4image.images import open_images, scan_images
from gpt4image.label import LabelSettings, label
from gpt4image.label.answers import record_answer
from gpt4image.label.artifact import LabelTable
from gpt4image.label.export import LabelExportSettings, export_labels

CLASSES = ("ant", "bee", "T-shirt/top")
TRUTH = (np.arange(60) + 1) % 3
"""Numbers of the pictures' classes, which are sorted by name."""
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty noisy pictures a class, listed with their labels."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    rows = ["path,label"]
    for number in range(60):
        kind = number % 3
        pixels = np.clip(np.array(COLOURS[kind]) + rng.normal(0, 60, (24, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number:02d}.png")
        rows.append(f"photos/{number:02d}.png,{CLASSES[kind]}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    return tmp_path / "list.csv"


def pick(photos: Path, work: Path, answer: Callable[[int], str], prompt: str = "pick_class@1") -> None:
    """Writes answers to the question for the class into the store."""
    images = open_images(str(photos))
    digests = scan_images(images).digests
    with DescriptionStore.open(work, create=True) as store:
        names = [images.class_name(i) for i in range(len(images))]
        store.write_images(map(DescribedImage, digests, images.keys, names))
        store.write(Description(digest, prompt, "judge", text=answer(i)) for i, digest in enumerate(digests))


def right(image: int) -> str:
    return CLASSES[image % 3]


def settings(photos: Path, work: Path, **changes: object) -> LabelSettings:
    return LabelSettings(str(photos), work, **{"features": "none", "prompts": ("none",), **changes})


def test_picks_complete_missing_labels_and_a_second_call_does_nothing(photos: Path, tmp_path: Path) -> None:
    pick(photos, tmp_path / "work", right)
    first = label(settings(photos, tmp_path / "work", keep_labels=5))
    assert (first.num_images, first.num_labelled) == (60, 15)
    assert first.states == {"kept": 15, "overruled": 0, "completed": 45, "open": 0, "by_person": 0}
    titles = [getattr(line, "title", "") for line in first.lines()]
    assert "How often each witness is right: shares of images, not means over classes" in titles
    table = LabelTable.open(tmp_path / "work", "default")
    assert (table.numbers("proposed") == TRUTH).all()
    assert (table.numbers("picked") == TRUTH).all()
    assert (table.numbers("given") >= 0).sum() == 15
    classes, probabilities = table.sparse
    assert (classes[:, 0] == TRUTH).all()
    assert np.allclose(probabilities.sum(1), 1, atol=1e-2)
    saved = (first.folder / "labels.parquet").read_bytes()
    again = label(settings(photos, tmp_path / "work", keep_labels=5))
    assert not again.redone
    assert (first.folder / "labels.parquet").read_bytes() == saved
    assert label(settings(photos, tmp_path / "work", keep_labels=6)).redone


def test_what_is_missing_is_told_as_it_is(photos: Path, tmp_path: Path) -> None:
    """Answers that name no class, and texts that are not embedded, are there all the same."""
    work = tmp_path / "work"
    pick(photos, work, lambda image: "wolf")
    pick(photos, work, lambda image: f"a picture, {image}", prompt="detailed@1")
    label(LabelSettings(str(photos), work, features="none"))
    told = LabelTable.open(work, "default").manifest["cannot_tell"]
    assert f"no pick in {work} names a class of these images" in told
    assert f"no embedded texts in {work}" in told


def test_a_second_call_writes_nothing_so_that_the_work_folder_may_be_read_only(photos: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    pick(photos, work, right)
    label(settings(photos, work))
    shutil.rmtree(work / ".locks", ignore_errors=True)
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
    assert not label(settings(photos, work)).redone
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before


def test_the_same_inputs_give_the_same_labels(photos: Path, tmp_path: Path) -> None:
    pick(photos, tmp_path / "work", lambda image: right(image if image % 7 else image + 1))
    tables = []
    for name in ("one", "two"):
        folder = label(settings(photos, tmp_path / "work", name=name, wrong_labels=0.2)).folder
        tables.append(parquet.read_table(folder / "labels.parquet"))
    assert tables[0].equals(tables[1])


def test_a_person_is_believed_and_none_of_these_teaches_nothing(photos: Path, tmp_path: Path) -> None:
    pick(photos, tmp_path / "work", right)
    digests = scan_images(open_images(str(photos))).digests
    record_answer(tmp_path / "work", digests[0], "bee", "ann")
    record_answer(tmp_path / "work", digests[1], None, "ann")
    result = label(settings(photos, tmp_path / "work"))
    rows = parquet.read_table(result.folder / "labels.parquet").to_pylist()
    assert (rows[0]["proposed"], rows[0]["state"]) == ("bee", "by_person")
    assert (rows[1]["proposed"], rows[1]["state"]) == (None, "by_person")
    assert result.states["by_person"] == 2


def test_nothing_known_is_one_clear_error(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"nothing is known about the classes of .*--prompt pick_class"):
        label(settings(photos, tmp_path / "work", keep_labels=0))
    with pytest.raises(SettingsError, match="--wrong-kind similar needs --features"):
        label(settings(photos, tmp_path / "work", wrong_labels=0.2, wrong_kind="similar"))
    with pytest.raises(LabelError, match="holds no labels; make them: gpt4image label IMAGES"):
        LabelTable.open(tmp_path / "work", "other")


def test_a_second_process_that_writes_the_same_labels_is_refused(photos: Path, tmp_path: Path) -> None:
    """Else the rows of one stand beside the manifest of the other."""
    lock = tmp_path / "work/.locks/labels.default"
    holder = (
        "import time; from pathlib import Path; from gpt4image.stopping import locked\n"
        f"with locked(Path({str(lock)!r}), 'it', ValueError): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LabelError, match=rf"labels/default is being written by another process.*{other.pid}"):
            label(settings(photos, tmp_path / "work"))
        assert label(settings(photos, tmp_path / "work", name="other")).redone
        other.kill()
    assert label(settings(photos, tmp_path / "work")).redone


def test_labels_of_other_images_are_refused(photos: Path, tmp_path: Path) -> None:
    label(settings(photos, tmp_path / "work"))
    table = LabelTable.open(tmp_path / "work", "default")
    images = open_images(str(photos))
    digests = list(scan_images(images).digests)
    assert table.find(images.keys, digests).tolist() == list(range(60))
    digests[3] = "0" * 64
    with pytest.raises(LabelError, match="is of other images: 1 of 60 have no label there or have changed"):
        table.find(images.keys, digests)


def test_exports_for_other_trainers(photos: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    pick(photos, work, right)
    label(settings(photos, work, keep_labels=5))
    result = export_labels(LabelExportSettings(work, tmp_path / "out.csv"))
    assert result.num_written == 60
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["label"] for row in rows] == [right(image) for image in range(60)]
    assert open_images(str(tmp_path / "out.csv")).class_name(0) == "ant"
    export_labels(LabelExportSettings(work, tmp_path / "kept.jsonl", states=("kept",)))
    kept = [json.loads(line) for line in (tmp_path / "kept.jsonl").read_text().splitlines()]
    assert len(kept) == 15
    assert {row["given"] == row["label"] for row in kept} == {True}
    export_labels(LabelExportSettings(work, tmp_path / "folder"))
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["T-shirt_top", "ant", "bee"]
    assert len(open_images(str(tmp_path / "folder"))) == 60
    with pytest.raises(LabelError, match="is not empty; name a new folder, or delete it"):
        export_labels(LabelExportSettings(work, tmp_path / "folder"))
    with pytest.raises(LabelError, match="has no such labels; see --states and --least-confidence"):
        export_labels(LabelExportSettings(work, tmp_path / "none.csv", states=("overruled",)))


def test_names_like_formulas_are_defused_in_csv_and_left_as_they_are_elsewhere(photos: Path, tmp_path: Path) -> None:
    work, formula = tmp_path / "work", "=cmd|'/C calc'!A0"
    pick(photos, work, lambda image: formula if right(image) == "ant" else right(image))
    (tmp_path / "list.csv").write_text(photos.read_text().replace("ant", f'"{formula}"'))
    label(settings(tmp_path / "list.csv", work))
    for name in ("out.csv", "out.jsonl"):
        export_labels(LabelExportSettings(work, tmp_path / name))
    labels = {row["label"] for row in csv.DictReader((tmp_path / "out.csv").open())}
    assert {f"'{formula}", "bee"} < labels
    assert formula not in labels
    assert formula in {json.loads(line)["label"] for line in (tmp_path / "out.jsonl").read_text().splitlines()}


def test_second_choices_and_confidence_are_read_beside_the_pick(photos: Path, tmp_path: Path) -> None:
    from gpt4image.label.collect import collect

    for field, answer in (
        ("class", right),
        ("second", lambda i: right(i + 1)),
        ("confidence", lambda i: f"{50 + i % 40} %"),
    ):
        pick(photos, tmp_path / "work", answer, f"describe_and_pick.{field}@1")
    (picks,) = collect(settings(photos, tmp_path / "work")).evidence.picks
    assert (picks.first == TRUTH).all()
    assert (picks.second == (TRUTH + 1) % 3).all()
    assert np.allclose(picks.confidence, (50 + np.arange(60) % 40) / 100)

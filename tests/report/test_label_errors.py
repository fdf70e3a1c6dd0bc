"""Labels to check: images some of which lie in the folder of another class, once more, or all but once more."""

import csv
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from gpt4image.cli import main
from gpt4image.label import LabelSettings, label
from gpt4image.label.artifact import LabelTable
from gpt4image.report.label_errors import LabelErrorsSettings, find_label_errors
from gpt4image.report.labels.near_duplicates import find_near_duplicates

CLASSES = ("disc", "frame", "stripes")
PER_CLASS, WRONG = 60, 6


@pytest.fixture(scope="module")
def folder(maker: ModuleType, made_comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `photos` and `work` with labels; of each class six images lie in the folders of the others."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("label_errors")
    rng = np.random.default_rng(0)
    maker.draw_images(folder / "photos", PER_CLASS, rng)
    maker.describe(folder / "photos", folder / "work", rng)
    photos = folder / "photos"
    for number, name in enumerate(CLASSES):
        for wrong in range(WRONG):
            other = CLASSES[(number + 1 + wrong % 2) % 3]
            (photos / name / f"{wrong}.png").rename(photos / other / f"was-{name}-{wrong}.png")
    shutil.copy(photos / "disc" / "20.png", photos / "frame" / "copied.png")
    Image.open(photos / "disc" / "21.png").save(photos / "frame" / "saved-again.jpg", quality=95)
    run = made_comparison / "runs" / "baseline-seed0"
    label(LabelSettings(str(photos), folder / "work", prompts=("detailed",), picks=("none",), features=str(run)))
    return folder


def test_wrong_labels_come_first_and_all_are_ranked(folder: Path, tmp_path: Path) -> None:
    page, table = tmp_path / "labels.html", tmp_path / "labels.csv"
    result = find_label_errors(LabelErrorsSettings(folder / "work", csv=table, page=page, top=5))
    rows = [row for row in csv.DictReader(table.open(newline="")) if row["finding"] == "label"]
    assert (result.num_ranked, len(result.found)) == (len(rows), 5)
    assert len(rows) == 3 * PER_CLASS + 2
    doubts = [float(row["doubt"]) for row in rows]
    assert doubts == sorted(doubts, reverse=True)
    planted = [row for row in rows[: 3 * WRONG] if "was-" in row["key"]]
    assert len(planted) >= 3 * WRONG - 2
    assert result.num_overruled == sum(row["state"] == "overruled" for row in rows)
    named = 0
    for row in planted:
        name = row["key"].split("was-")[1].split("-")[0]
        assert row["given"] == row["key"].split("/")[0]
        assert row["texts"].startswith(f"A {name} with <b>sharp</b> edges")
        assert (row["proposed"] != row["given"]) == (row["state"] == "overruled")
        named += row["detailed@1"] == name
    assert named >= 3 * WRONG - 2, "what the text alone says"
    assert [one.key for one in result.found] == [row["key"] for row in rows[:5]]
    assert result.found[0].opinions[0].class_name == rows[0]["detailed@1"]

    html = page.read_text()
    shown = 5 + 2 + 2 * min(5, len(result.near_duplicates)) + min(5, len(result.no_class))
    assert html.count('<li class="entry"') == html.count("data:image/jpeg") == shown
    assert "&lt;b&gt;sharp&lt;/b&gt;" in html
    assert "text (detailed@1)" in html
    assert "http" not in html.replace("http-equiv", "")


def test_what_contradicts_itself_is_listed(folder: Path, tmp_path: Path) -> None:
    result = find_label_errors(LabelErrorsSettings(folder / "work", csv=tmp_path / "labels.csv"))
    assert result.same_bytes == ((("disc/20.png", "disc"), ("frame/copied.png", "frame")),)
    pairs = [{a, b} for a, b, _ in result.near_duplicates]
    assert {("disc/21.png", "disc"), ("frame/saved-again.jpg", "frame")} in pairs
    assert len(pairs) <= 3
    rows = list(csv.DictReader((tmp_path / "labels.csv").open(newline="")))
    found = {(row["finding"], row["key"], row["other"]) for row in rows}
    assert ("same bytes", "frame/copied.png", "disc/20.png") in found
    assert ("near-duplicate", "disc/21.png", "frame/saved-again.jpg") in found


def test_what_a_person_has_looked_at_is_no_longer_ranked(folder: Path) -> None:
    first = find_label_errors(LabelErrorsSettings(folder / "work", top=1))
    table = LabelTable.open(folder / "work", "default")
    rows = table.rows.to_pandas()
    seen = rows["key"] == first.found[0].key
    rows["state"] = rows["state"].astype(str)
    rows.loc[seen, "state"] = "by_person"
    copied = folder / "work" / "labels" / "seen"
    shutil.copytree(table.folder, copied)
    rows.to_parquet(copied / "labels.parquet")
    again = find_label_errors(LabelErrorsSettings(folder / "work", name="seen", top=1000))
    assert (again.num_ranked, again.num_by_person) == (first.num_ranked - 1, 1)
    assert first.found[0].key not in {one.key for one in again.found}


def test_without_features_or_images_it_says_what_was_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = shutil.copytree(folder / "photos", tmp_path / "photos")
    work = shutil.copytree(folder / "work", tmp_path / "work")
    label(LabelSettings(str(photos), work, name="texts", prompts=("detailed",), features="none"))
    assert main(["label-errors", str(work), "--name", "texts"]) == 0
    shown = capsys.readouterr().out
    assert "was-" in shown
    assert f"{3 * PER_CLASS + 2} given labels, most doubtful first" in shown
    assert "not looked for: near-duplicates; the labels were weighed without features" in shown
    moved = photos.rename(tmp_path / "elsewhere")
    assert main(["label-errors", str(work), "--name", "texts"]) == 0
    page = ["--name", "texts", "--page", str(tmp_path / "x.html")]
    assert main(["label-errors", str(work), *page]) == 2
    assert str(photos) in capsys.readouterr().err
    assert main(["label-errors", str(work), *page, "--images", str(moved)]) == 0


def test_mistakes_are_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "less").mkdir()
    shutil.copytree(folder / "photos" / "disc", tmp_path / "less" / "disc")
    capsys.readouterr()
    work = str(folder / "work")
    page = ["--page", str(tmp_path / "x.html")]
    for arguments, words in (
        ([str(tmp_path)], f"holds no labels; make them: gpt4image label IMAGES {tmp_path}"),
        ([work, "--name", "other"], "holds no labels; there are default"),
        ([work, *page, "--images", str(tmp_path / "less")], "any more; say where it is with --images, or label again"),
        ([work, "--top", "0"], "--top is 0; it must be at least 1"),
    ):
        assert main(["label-errors", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.splitlines()[-1].startswith("gpt4image label-errors: ")


def test_near_duplicates_are_those_that_are_planted() -> None:
    rng = np.random.default_rng(0)
    features = np.abs(rng.normal(size=(1000, 64))) + rng.random(64)
    labels = rng.integers(0, 5, 1000)
    planted = [(3, 900), (10, 11), (500, 700)]
    for a, b in planted:
        features[b] = features[a] * 2 + 0.01 * rng.normal(size=64)
        labels[a], labels[b] = 0, 1
    features[42] = features[43]
    labels[42] = labels[43]
    pairs, threshold = find_near_duplicates(features, labels)
    assert sorted((a, b) for a, b, _ in pairs[:3]) == planted
    assert len(pairs) <= 6, "about one of a thousand is as near by chance"
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for a, b, cosine in pairs:
        assert cosine == pytest.approx(unit[a] @ unit[b], abs=1e-5)
        assert cosine >= threshold
    assert find_near_duplicates(features[:2], labels[:2]) == ([], 1.0)

"""Labels to check: a run is trained on images some of which lie in the folder of another class."""

import csv
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from gpt4image.cli import main
from gpt4image.files import read_json
from gpt4image.report.label_errors import LabelErrorsSettings, find_label_errors
from gpt4image.train import TrainSettings, train
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.run_folder import settings_from_dict, settings_to_dict
from gpt4image.train.targets.classes import compute_class_targets

CLASSES = ("disc", "frame", "stripes")
PER_CLASS, WRONG = 60, 6


@pytest.fixture(scope="module")
def folder(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `photos` and `work`, and `run`; of each class six images lie in the folders of the others."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("label_errors")
    rng = np.random.default_rng(0)
    maker.draw_images(folder / "photos", PER_CLASS, rng)
    maker.describe(folder / "photos", folder / "work", rng)
    for label, name in enumerate(CLASSES):
        for number in range(WRONG):
            other = CLASSES[(label + 1 + number % 2) % 3]
            place = folder / "photos" / other / f"was-{name}-{number}.png"
            (folder / "photos" / name / f"{number}.png").rename(place)
    train(make_settings(folder, "run"))
    return folder


def make_settings(folder: Path, run: str, **changes: Any) -> TrainSettings:
    values = {"work": folder / "work", "model": "test_resnet", "input_size": 32, "epochs": 1, "device": "cpu"}
    return TrainSettings(str(folder / "photos"), folder / run, **{**values, **changes})


def test_wrong_labels_are_listed_and_no_others(folder: Path, tmp_path: Path) -> None:
    page, table = tmp_path / "labels.html", tmp_path / "labels.csv"
    result = find_label_errors(LabelErrorsSettings(folder / "run", csv=table, page=page, top=5, workers=0))
    rows = list(csv.DictReader(table.open(newline="")))
    assert (result.num_found, result.num_weighed, len(result.found)) == (len(rows), 3 * PER_CLASS, 5)
    assert all("was-" in row["key"] for row in rows)
    assert len(rows) >= 3 * WRONG - 2
    for row in rows:
        name = row["key"].split("was-")[1].split("-")[0]
        assert (row["label"], row["suggested"], row["text_says"]) == (row["key"].split("/")[0], name, name)
        assert row["texts"].startswith(f"A {name} with <b>sharp</b> edges")
        assert row["agree"] == str(row["model_says"] == name)
    probabilities = [float(row["probability"]) for row in rows]
    assert probabilities == sorted(probabilities, reverse=True)
    assert result.num_agree == sum(row["agree"] == "True" for row in rows)

    html = page.read_text()
    assert html.count("<li class") == html.count("data:image/jpeg") == 5
    assert "&lt;b&gt;sharp&lt;/b&gt;" in html
    assert "no independent witness" in html
    assert "http" not in html.replace("http-equiv", "")


def test_what_is_read_again_is_what_the_run_was_taught(folder: Path) -> None:
    """The posterior is that of the targets of training, and the reader finds what the manifest says."""
    settings = settings_from_dict(read_json(folder / "run" / "manifest.json")["settings"])
    assert settings == make_settings(folder, "run")
    inputs = load_inputs(settings)
    targets, _ = compute_class_targets(settings, inputs)
    targets = targets[np.arange(len(inputs.images))]
    result = find_label_errors(LabelErrorsSettings(folder / "run", top=1000, workers=0))
    overruled = np.flatnonzero(targets.argmax(1) != inputs.images.labels)
    expected = {inputs.images.keys[i]: round(float(targets[i].max()), 3) for i in overruled}
    assert {one.key: round(one.probability, 3) for one in result.found} == expected
    assert result.noise == read_json(folder / "run" / "manifest.json")["reader"]["noise"]


def test_settings_come_back_from_plain_values(folder: Path) -> None:
    settings = make_settings(folder, "x", prompts=("a", "b"), teacher=folder, model_kwargs={"c": [1]}, lr=0.5)
    plain = json.loads(json.dumps(settings_to_dict(settings)))
    assert settings_from_dict({**plain, "of a later version": 1}) == settings


def test_a_work_folder_that_has_moved(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = folder / "work"
    moved = Path(shutil.move(work, tmp_path / "elsewhere"))
    try:
        assert main(["label-errors", str(folder / "run")]) == 2
        assert f"the work folder {work} of {folder / 'run'} is missing; say where it is" in capsys.readouterr().err
        arguments = ["--work", str(moved), "--workers", "0", "--top", "1"]
        assert main(["label-errors", str(folder / "run"), *arguments]) == 0
        shown = capsys.readouterr().out
        assert "was-" in shown
        assert f"of {3 * PER_CLASS} labels to check; text and image model agree on" in shown
    finally:
        shutil.move(moved, work)


def test_mistakes_are_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(make_settings(folder, "no-reader", reader=False))
    capsys.readouterr()
    changed = Path(shutil.copytree(folder / "run", tmp_path / "changed"))
    text = (changed / "settings.yaml").read_text()
    (changed / "settings.yaml").write_text(text.replace("texts hash: ", "texts hash: 0"))
    for arguments, words in (
        ([str(folder / "no-reader")], "did not weigh labels against texts; label-errors needs a run"),
        ([str(changed)], f"images or texts have changed since {changed} was trained; train it again"),
        ([str(tmp_path)], "is no run"),
        ([str(folder / "run"), "--top", "0"], "--top is 0; it must be at least 1"),
    ):
        assert main(["label-errors", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.splitlines()[-1].startswith("gpt4image label-errors: ")

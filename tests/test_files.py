"""Files that the stages have written, damaged: one line with what to do, or made anew, whatever a library raises."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.compare.comparison import Arm, Run, load_comparison
from gpt4image.compare.summary import _read_records
from gpt4image.embed.table import ROWS, EmbeddingTable
from gpt4image.errors import DamagedFileError, DescriptionError, RunError
from gpt4image.evaluate.corruptions import corruption_difference
from gpt4image.evaluate.projector import load_projector
from gpt4image.evaluate.record import load_features, load_predictions, read_measures
from gpt4image.files import read_json, reading
from gpt4image.images import open_images
from gpt4image.label import LabelSettings, label
from gpt4image.label.artifact import LabelTable
from gpt4image.models.image_features import _read_known
from gpt4image.report.charts.curves import read_curve
from gpt4image.runs import load_head, load_manifest
from gpt4image.train.checkpoint import load_checkpoint
from gpt4image.train.validation import BestWeights

CONTENTS = {"empty": b"", "text": b"no such thing\n" * 20, "list": b"[1]", "pickle": pickle.dumps([1])}
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "JSON": ("a.json", lambda folder: read_json(folder / "a.json")),
    "manifest": ("manifest.json", load_manifest),
    "predictions": ("predictions.npz", load_predictions),
    "features": ("features.npz", lambda folder: load_features(folder, ["a"])),
    "corruptions": ("corruptions.npz", lambda folder: corruption_difference([folder], [folder])),
    "projector": ("projector.safetensors", load_projector),
    "head": ("head.safetensors", load_head),
    "measures": ("evaluation.json", lambda folder: _read_records([folder / "evaluation.json"], ("top1",))),
    "checkpoint": ("last.pt", lambda folder: load_checkpoint(folder / "last.pt", {})),
    "rows of texts": (ROWS, lambda folder: EmbeddingTable(folder, np.zeros((1, 2)), {}).rows),
    "joined rows": (ROWS, lambda folder: EmbeddingTable(folder, np.zeros((1, 2)), {}).join(["a"])),
    "rows of labels": ("labels.parquet", lambda folder: LabelTable(folder, {}).rows),
    "labels": ("labels/default/manifest.json", lambda folder: LabelTable.open(folder, "default")),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_one_line_with_what_to_do(tmp_path: Path, name: str, content: str) -> None:
    file, read = READERS[name]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(CONTENTS[content])
    with pytest.raises(DamagedFileError) as told:
        read(tmp_path)
    assert f"{tmp_path / file} is damaged (" in str(told.value)
    assert "delete it, and the command that wrote it makes it anew" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_without_what_is_looked_for_and_one_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DamagedFileError, match=r"a\.json is damaged \(there is no 'top1'\)"):
        _read_records([tmp_path / "a.json"], ("top1",))
    with pytest.raises(DamagedFileError, match=r"b\.json is missing; the command that wrote it makes it anew"):
        read_json(tmp_path / "b.json")
    with pytest.raises(IsADirectoryError), reading(tmp_path):
        tmp_path.read_bytes()


@pytest.mark.parametrize("value", [None, [1], "much"])
def test_measures_and_prompts_that_are_none(tmp_path: Path, value: object) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps({"top1": value}))
    with pytest.raises(DamagedFileError, match=r"evaluation\.json is damaged"):
        read_measures(tmp_path / "evaluation.json")
    np.save(tmp_path / "vectors.npy", np.zeros((1, 2), np.float16))
    (tmp_path / "manifest.json").write_text(json.dumps({"num_rows": 1, "prompts": value and 1}))
    with pytest.raises(DescriptionError, match=r"is damaged \(.*\); embed again"):
        EmbeddingTable.open(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("source", None), ("states", [1]), ("classes", "a")])
def test_a_value_of_another_kind_in_labels(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "labels/default/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"classes": ["a"], "source": "x", name: value}))
    with pytest.raises(DamagedFileError, match=rf"manifest\.json is damaged \({name} is"):
        LabelTable.open(tmp_path, "default")


def test_a_curve_of_damaged_metrics(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "loss": 2.0}\n{"epoch": 2, "lo')
    arm = Arm("a", "method", [Run(0, tmp_path, 1.0)], "", 1.0)
    with pytest.raises(DamagedFileError, match=r"metrics\.jsonl is damaged"):
        read_curve(arm, "loss")
    (tmp_path / "metrics.jsonl").unlink()
    assert read_curve(arm, "loss") == {}


def test_best_weights_that_are_damaged_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best.pt").write_bytes(b"no weights")
    with pytest.raises(RunError, match=r"best\.pt is damaged \(.*\); delete .*checkpoints, and the same command"):
        BestWeights(tmp_path)


@pytest.mark.parametrize("content", CONTENTS)
def test_kept_features_that_are_damaged_are_computed_anew(tmp_path: Path, content: str) -> None:
    for file in ("digests.npy", "vectors.npy", "manifest.json", "parts/a.npz"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(CONTENTS[content])
    (tmp_path / "identity.json").write_text('{"identity": "x"}')
    assert len(_read_known(tmp_path, "x")) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["identity.json"]


@pytest.mark.parametrize("damage", ["empty", "gone"])
def test_labels_whose_rows_are_damaged_are_made_anew(tmp_path: Path, damage: str) -> None:
    for number in range(4):
        path = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    settings = LabelSettings(str(tmp_path / "photos"), tmp_path / "work", features="none", prompts=("none",))
    rows = label(settings).folder / "labels.parquet"
    whole = rows.read_bytes()
    assert not label(settings).redone
    rows.write_bytes(b"") if damage == "empty" else rows.unlink()
    assert label(settings).redone
    assert rows.read_bytes() == whole
    assert LabelTable.open(tmp_path / "work", "default").rows["key"].to_pylist() == open_images(settings.images).keys


@pytest.mark.parametrize(("name", "value"), [("classes", "cat"), ("text", [1]), ("model", 1), ("data_config", 1)])
def test_a_value_of_another_kind_in_a_manifest(tmp_path: Path, name: str, value: object) -> None:
    manifest = {"model": "m", "model_kwargs": {}, "classes": ["a"], "data_config": {"input_size": [3, 8, 8]}}
    manifest |= {"num_features": 4, "images": "i", "num_images": 1, "num_described": 0, "digests_hash": ""}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert load_manifest(tmp_path).model == "m"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {name: value}))
    with pytest.raises(DamagedFileError, match=r"manifest\.json is damaged \("):
        load_manifest(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("recipe", [1]), ("situations", 1), ("situations", [{"arms": [1]}])])
def test_a_value_of_another_kind_in_a_comparison(tmp_path: Path, name: str, value: object) -> None:
    (tmp_path / "comparison.json").write_text(json.dumps({"situations": [], name: value}))
    with pytest.raises(RunError, match=r"comparison\.json cannot be read as a comparison"):
        load_comparison(tmp_path)

"""`export`: what it writes, what it refuses, and that a wrong model never comes out."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, ResNet

from gpt4image.cli import main
from gpt4image.errors import SettingsError, VerificationError
from gpt4image.export import ExportSettings, export
from gpt4image.export.verify import check_agreement
from gpt4image.files import read_json, write_json

MakeRun = Callable[..., Path]


class TwoFacedResNet(ResNet):
    """Computes something else while it is being exported, as a badly converted operator does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = super().forward(x)
        return logits.flip(1) if torch.compiler.is_exporting() else logits


default_cfgs = generate_default_cfgs({"resnet_two_faced": {"first_conv": "conv1", "classifier": "fc"}})


@register_model
def resnet_two_faced(pretrained: bool = False, **kwargs: Any) -> TwoFacedResNet:
    arguments = {"block": BasicBlock, "layers": [1, 1, 1, 1], "channels": (8, 8, 8, 8)} | kwargs
    return build_model_with_cfg(TwoFacedResNet, "resnet_two_faced", pretrained, **arguments)


def test_wrong_onnx_fails_and_leaves_nothing(make_run: MakeRun, photos: Path, tmp_path: Path) -> None:
    run = make_run("resnet_two_faced")
    export(ExportSettings(run, tmp_path / "plain", str(photos)))
    with pytest.raises(VerificationError, match=r"the onnx export does not compute .* of 8 images get another class"):
        export(ExportSettings(run, tmp_path / "export", str(photos), onnx=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "photos", "plain", run.name]


def test_onnx_file_says_what_it_needs(make_run: MakeRun, tmp_path: Path) -> None:
    import onnxruntime

    export(ExportSettings(make_run(), tmp_path / "export", onnx=True))
    session = onnxruntime.InferenceSession(tmp_path / "export" / "model.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == ["cat", "dog", "owl"]
    assert json.loads(facts["data_config"])["crop_pct"] == 0.9
    for batch in (1, 4):
        assert session.run(None, {"pixels": np.zeros((batch, 3, 32, 32), np.float32)})[0].shape == (batch, 3)


def test_timm_folder_brings_preprocessing_and_labels(make_run: MakeRun, tmp_path: Path) -> None:
    result = export(ExportSettings(make_run(), tmp_path / "export"))
    assert (result.verification["images"], result.verification["timm"]["top1"]) == ("generated", None)
    model = timm.create_model(f"local-dir:{tmp_path / 'export'}", pretrained=True)
    config = timm.data.resolve_model_data_config(model)
    assert list(config["mean"]) == [0.4, 0.5, 0.6]
    assert (config["interpolation"], config["crop_pct"], config["input_size"]) == ("bilinear", 0.9, (3, 32, 32))
    assert model.pretrained_cfg["label_names"] == ["cat", "dog", "owl"]
    modes = {path.stat().st_mode for path in (tmp_path / "export").iterdir()}
    assert len(modes) == 1


def test_card_tells_data_text_result_and_difference(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    evaluation = {"images": "holdout", "top1": 71.25, "top5": 100.0, "ece": 3.5, "n": 80}
    write_json(run / "evaluation.json", evaluation)
    arm = {"runs": [{"seed": 0, "path": run.name}, {"seed": 1, "path": "x"}], "top1_mean": 70.0}
    difference = {"mean": 1.5, "low": 0.25, "high": 2.75, "level": 0.95}
    situation = {"name": "clean labels", "arms": {"aligned": arm}, "differences": {"aligned": difference}}
    write_json(tmp_path / "comparison.json", {"title": "Pets", "seconds": 60, "situations": [situation]})
    export(ExportSettings(run, tmp_path / "export"))
    card = (tmp_path / "export" / "README.md").read_text()
    for words in (
        "| holdout | 71.25 % | 100.00 % | 3.50 % | 80 |",
        "+1.50 points against the plain baseline\n(95 % interval +0.25 to +2.75)",
        "arm `aligned` over 2 seeds",
        "| describers | vlm-8b |",
        "| encoder | minilm |",
        "| lr | 0.001 |",
        "10 used, 9 of them with a description",
        "the describer (vlm-8b)",
    ):
        assert words in card
    assert "published weights" not in card


def test_what_is_exported_is_kept_and_nothing_else_is_overwritten(make_run: MakeRun, tmp_path: Path) -> None:
    run, target = make_run(), tmp_path / "export"
    assert not export(ExportSettings(run, target)).reused
    assert export(ExportSettings(run, target)).reused
    other = make_run("test_efficientnet")
    with pytest.raises(SettingsError, match="holds another export; choose another folder, or --replace"):
        export(ExportSettings(other, target))
    export(ExportSettings(other, target, replace=True))
    assert read_json(target / "config.json")["architecture"] == "test_efficientnet"
    with pytest.raises(SettingsError, match="exists and is no export"):
        export(ExportSettings(run, other, replace=True))


def test_logits_that_are_no_numbers_do_not_pass() -> None:
    trained = np.array([[1.0, 0.0]], dtype=np.float32)
    with pytest.raises(VerificationError, match="up to inf"):
        check_agreement("onnx", trained, np.full_like(trained, np.nan), None)
    with pytest.raises(VerificationError, match=r"up to 0\.01 \(allowed 1e-03\) and 0 of 1"):
        check_agreement("onnx", trained, trained + 0.01, None)
    assert check_agreement("onnx", trained, trained + 0.0005, np.array([1])).top1 == 0


def test_mistakes_are_one_line(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    assert main(["export", str(tmp_path), str(tmp_path / "e")]) == 2
    assert "is no run" in capsys.readouterr().err
    assert main(["export", str(run), str(tmp_path / "e"), "--max-images", "0"]) == 2
    assert "--max-images is 0; it must be at least 1" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else name)
    assert main(["export", str(run), str(tmp_path / "e"), "--onnx"]) == 2
    assert "--onnx needs onnxscript; install gpt4image[onnx]" in capsys.readouterr().err

"""Weights of a user's own to start from: what fits is loaded whole, what does not is one clear line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from gpt4image.errors import ModelError
from gpt4image.models.create import create_model

CNN: dict[str, Any] = {"name": "resnet10t", "input_size": 32, "kwargs": {"channels": [4, 8, 8, 8], "stem_width": 4}}
VIT: dict[str, Any] = {
    "name": "vit_tiny_patch16_224",
    "kwargs": {"depth": 2, "embed_dim": 24, "num_heads": 3, "patch_size": 8},
}


@pytest.mark.parametrize("num_classes", [2, 3])
def test_all_weights_are_loaded_and_a_head_of_other_classes_starts_anew(tmp_path: Path, num_classes: int) -> None:
    source = create_model(num_classes=2, **CNN).state_dict()
    save_file(source, tmp_path / "a.safetensors")
    found = create_model(num_classes=num_classes, weights=tmp_path / "a.safetensors", **CNN).state_dict()
    differing = {name for name in source if not torch.equal(source[name], found[name])}
    assert differing == (set() if num_classes == 2 else {"fc.weight", "fc.bias"})
    assert found["fc.weight"].shape == (num_classes, 8)


def test_weights_without_a_head_are_enough(tmp_path: Path) -> None:
    source = create_model(num_classes=0, **CNN).state_dict()
    torch.save(source, tmp_path / "features.pth")
    found = create_model(num_classes=3, weights=tmp_path / "features.pth", **CNN).state_dict()
    assert found.keys() - source.keys() == {"fc.weight", "fc.bias"}
    assert all(torch.equal(found[name], value) for name, value in source.items())


def test_a_training_checkpoint_for_another_input_size_fits(tmp_path: Path) -> None:
    """As timm's train.py writes it: averaged weights beside the last ones, DDP's names; positions are resampled."""
    last, averaged = (create_model(num_classes=5, input_size=64, **VIT).state_dict() for _ in range(2))
    wrapped = {"module." + name: value for name, value in averaged.items()}
    torch.save({"epoch": 3, "state_dict": last, "state_dict_ema": wrapped}, tmp_path / "checkpoint.pth.tar")
    found = create_model(num_classes=5, input_size=32, weights=tmp_path / "checkpoint.pth.tar", **VIT).state_dict()
    assert {name for name in found if not torch.equal(found[name], averaged[name])} == {"pos_embed"}
    assert (averaged["pos_embed"].shape[1], found["pos_embed"].shape[1]) == (1 + 8 * 8, 1 + 4 * 4)


def write_bad(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.{'safetensors' if kind in ('other', 'cut') else 'pth'}"
    whole = create_model(num_classes=2, **CNN).state_dict()
    match kind:
        case "other":
            save_file({"layer.weight": torch.zeros(2)}, path)
        case "cut":
            save_file(whole, path)
            path.write_bytes(path.read_bytes()[:-100])
        case "cut pickle":
            torch.save(whole, path)
            path.write_bytes(path.read_bytes()[:3000])
        case "more":
            torch.save({"state_dict": whole, "config": Path("x")}, path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            "other",
            r"other.safetensors does not hold the weights of resnet10t \(.*Missing key.*conv1.*\); give a whole file",
        ),
        ("cut", r"cut.safetensors does not hold the weights of resnet10t \(.*incomplete.*; give a whole file"),
        ("cut pickle", r"cut pickle.pth does not hold the weights of resnet10t \(.*zip archive.*; give a whole file"),
        ("more", r"more.pth holds more than weights and is not loaded; save its state dict alone"),
        ("none", r"there is no file .*none.pth; give --init-weights a file"),
    ],
)
def test_a_file_that_does_not_fit_is_one_clear_line(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        create_model(num_classes=2, weights=write_bad(tmp_path, kind), **CNN)
    assert "\n" not in str(raised.value)


def test_a_module_of_ones_own_takes_its_own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_models.py").write_text(
        "from torch import nn\ndef make(num_classes):\n    return nn.Linear(4, num_classes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    torch.save({"model": {"weight": torch.ones(3, 4), "bias": torch.zeros(3)}}, tmp_path / "own.pth")
    model = create_model("import:own_models:make", 3, 32, weights=tmp_path / "own.pth")
    assert model.state_dict()["weight"].sum() == 12
    with pytest.raises(ModelError, match=r"does not hold the weights of import:own_models:make .*size mismatch"):
        create_model("import:own_models:make", 2, 32, weights=tmp_path / "own.pth")

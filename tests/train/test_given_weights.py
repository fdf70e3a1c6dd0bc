"""From a file of weights, made for another input size, to an export; transformers and a CNN, whole and frozen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from gpt4image.errors import ModelError
from gpt4image.export import ExportSettings, export
from gpt4image.models.create import create_model
from gpt4image.runs import load_manifest, load_model
from gpt4image.train import TrainSettings, train

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("vit_tiny_patch16_224", {"depth": 2, "embed_dim": 24, "num_heads": 3, "patch_size": 8}),
    "swin": ("swin_tiny_patch4_window7_224", {"embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2]}),
    "cnn": ("resnet10t", {"channels": [4, 8, 8, 8], "stem_width": 4}),
}
RESAMPLED = {
    "vit": {"pos_embed"},
    "swin": {f"layers.{layer}.blocks.0.attn.relative_position_bias_table" for layer in (0, 1)},
    "cnn": set(),
}
"""What depends on the input size: positions, and Swin's windows where the picture is smaller than one."""
OLD_SIZE, SIZE = 64, 24


def write_checkpoint(path: Path, kind: str, num_classes: int = 5) -> dict[str, torch.Tensor]:
    """As timm's train.py writes it; returns the averaged weights."""
    name, kwargs = MODELS[kind]
    last, averaged = (create_model(name, num_classes, OLD_SIZE, kwargs=kwargs) for _ in range(2))
    state = {"epoch": 7, "arch": name, "state_dict": last.state_dict(), "state_dict_ema": averaged.state_dict()}
    torch.save(state, path)
    return averaged.state_dict()


def settings_of(kind: str, photos: Path, run: Path, weights: Path, freeze: bool) -> TrainSettings:
    name, kwargs = MODELS[kind]
    how: dict[str, Any] = {"freeze": True} if freeze else {"epochs": 1, "batch_size": 4, "lr": 1e-3}
    place = {"init_weights": weights, "input_size": SIZE, "device": "cpu"}
    return TrainSettings(str(photos), run, model=name, model_kwargs=kwargs, **place, **how)


@pytest.mark.parametrize("kind", MODELS)
def test_averaged_weights_are_taken_and_fitted_to_the_size(tmp_path: Path, kind: str) -> None:
    averaged = write_checkpoint(tmp_path / "checkpoint.pth.tar", kind)
    name, kwargs = MODELS[kind]
    found = create_model(name, 5, SIZE, kwargs=kwargs, weights=tmp_path / "checkpoint.pth.tar").state_dict()
    assert {own for own in averaged if not torch.equal(averaged[own], found[own])} == RESAMPLED[kind]
    assert all(averaged[own].shape != found[own].shape for own in RESAMPLED[kind])


@pytest.mark.parametrize("freeze", [True, False], ids=["frozen", "whole"])
@pytest.mark.parametrize("kind", MODELS)
def test_the_export_says_in_timm_what_the_run_says(
    make_photos: Callable[..., Path], tmp_path: Path, kind: str, freeze: bool
) -> None:
    write_checkpoint(tmp_path / "checkpoint.pth.tar", kind)
    photos = make_photos(4)
    run = train(settings_of(kind, photos, tmp_path / "run", tmp_path / "checkpoint.pth.tar", freeze)).run
    folder = export(ExportSettings(run, tmp_path / "export", images=str(photos))).export
    ours = load_model(run, load_manifest(run))
    exported = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    pixels = torch.rand(3, 3, SIZE, SIZE)
    with torch.no_grad():
        logits = exported(pixels)
        assert logits.shape == (3, 2)
        assert torch.allclose(logits, ours(pixels), atol=1e-5)
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_of_another_model_or_a_part_of_one_is_refused(tmp_path: Path, kind: str) -> None:
    name, kwargs = MODELS[kind]
    path = tmp_path / "checkpoint.pth.tar"
    write_checkpoint(path, "cnn" if kind == "vit" else "vit")
    words = f"checkpoint.pth.tar does not hold the weights of {name} "
    with pytest.raises(ModelError, match=words):
        create_model(name, 2, SIZE, kwargs=kwargs, weights=path)
    write_checkpoint(path, kind)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match=words):
        create_model(name, 2, SIZE, kwargs=kwargs, weights=path)

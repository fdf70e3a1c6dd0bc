"""One small model of each family: its timm folder and its ONNX file answer as the trained model does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file

from gpt4image.export import ExportSettings, export
from gpt4image.runs import load_manifest, load_model

SWIN = {"depths": [1, 1, 1, 1], "embed_dim": 24, "num_heads": [1, 1, 2, 2]}
FAMILIES: list[tuple[str, int, dict[str, Any]]] = [
    ("resnet10t", 32, {}),
    ("resnext26ts", 32, {}),
    ("mobilenetv4_conv_small_035", 32, {}),
    ("test_efficientnet", 32, {}),
    ("convnext_atto", 32, {}),
    ("deit_tiny_patch16_224", 32, {"depth": 2}),
    ("test_vit", 32, {}),
    ("swin_tiny_patch4_window7_224", 64, SWIN),
    ("xcit_nano_12_p16_224", 64, {"depth": 2}),
    ("test_maxvit", 32, {}),
]


@pytest.mark.parametrize(("name", "size", "kwargs"), FAMILIES, ids=[family[0] for family in FAMILIES])
def test_export_of_family(
    make_run: Callable[..., Path], photos: Path, tmp_path: Path, name: str, size: int, kwargs: dict[str, Any]
) -> None:
    run = make_run(name, size, **kwargs)
    result = export(ExportSettings(run, tmp_path / "export", str(photos), onnx=True))
    record = result.verification
    assert record["num_images"] == 8
    assert record["onnx"]["max_logit_difference"] <= 1e-3
    assert record["cost"]["exported"]["flops_per_image"] == record["cost"]["plain"]["flops_per_image"] > 0

    loaded = timm.create_model(f"local-dir:{tmp_path / 'export'}", pretrained=True).eval()
    trained = load_model(run, load_manifest(run))
    pixels = torch.randn(5, 3, size, size)
    with torch.no_grad():
        assert torch.equal(loaded(pixels), trained(pixels))
    plain = timm.create_model(name, num_classes=3, **kwargs)
    assert load_file(tmp_path / "export" / "model.safetensors").keys() == plain.state_dict().keys()

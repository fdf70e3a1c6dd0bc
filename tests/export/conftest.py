"""Small finished runs of any architecture, with random weights that give varied answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Makes a finished run of any model."""

    def make(model_name: str = "resnet10t", size: int = 32, **kwargs: Any) -> Path:
        from safetensors.torch import save_file

        from gpt4image.models.create import create_model
        from gpt4image.runs import RunManifest

        torch.manual_seed(0)
        model = create_model(model_name, 3, size, kwargs=kwargs)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        run = tmp_path / f"run-{model_name}"
        run.mkdir()
        save_file(model.state_dict(), run / "model.safetensors")
        config = {
            "input_size": [3, size, size],
            "interpolation": "bilinear",
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.25, 0.3],
            "crop_pct": 0.9,
        }
        text = {
            "objective": "clip",
            "table": {"encoder": "minilm", "prompts": ["detailed@1"], "describers": ["vlm-8b"]},
        }
        settings = {"seed": 0, "lr": 0.001, "pretrained": False}
        RunManifest(
            model_name,
            kwargs,
            ["cat", "dog", "owl"],
            config,
            8,
            "photos",
            10,
            9,
            "0" * 64,
            text=text,
            settings=settings,
        ).save(run)
        return run

    return make


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """8 random images in folders cat and dog."""
    rng = np.random.default_rng(0)
    for folder in ("cat", "dog"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(4):
            coarse = rng.integers(0, 255, (4 + number, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((48, 40)).save(tmp_path / "photos" / folder / f"{number}.png")
    return tmp_path / "photos"

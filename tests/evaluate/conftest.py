"""Small finished runs with random weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

torch.set_num_threads(1)

CLASSES = ["bear", "cat", "dog"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Makes a finished run of an untrained ResNet-10-T at 32 pixels."""

    def make(name: str = "run", seed: int = 0, classes: list[str] = CLASSES) -> Path:
        from safetensors.torch import save_file

        from gpt4image.models.create import create_model
        from gpt4image.runs import RunManifest

        torch.manual_seed(seed)
        model = create_model("resnet10t", len(classes), 32)
        run = tmp_path / name
        run.mkdir()
        save_file(model.state_dict(), run / "model.safetensors")
        config = {
            "input_size": [3, 32, 32],
            "interpolation": "bicubic",
            "mean": [0.5] * 3,
            "std": [0.25] * 3,
            "crop_pct": 1.0,
        }
        RunManifest("resnet10t", {}, classes, config, 512, "photos", 10, 10, "0" * 64).save(run)
        return run

    return make


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """12 random images in folders cat, dog and _unlabelled, and one that is cut off."""
    rng = np.random.default_rng(0)
    for folder in ("cat", "dog", "_unlabelled"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / folder / f"{number}.png")
    whole = (tmp_path / "photos" / "cat" / "0.png").read_bytes()
    (tmp_path / "photos" / "dog" / "cut.png").write_bytes(whole[:200])
    return tmp_path / "photos"

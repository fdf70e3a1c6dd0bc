"""A small image set with captions, and a recipe about it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

torch.set_num_threads(1)

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def draw(root: Path, per_class: int, seed: int) -> list[Path]:
    """Noisy coloured images, a folder a colour; some look like another class."""
    rng = np.random.default_rng(seed)
    paths = []
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            noise = rng.normal(0, 110, (16, 16, 3)) + rng.normal(0, 60, 3)
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            paths.append(root / name / f"{number:03d}.png")
            Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of 2 seeds and 2 epochs; the captions name the colour."""
    paths = draw(tmp_path / "train", 12, seed=0)
    draw(tmp_path / "test", 40, seed=1)
    captions = tmp_path / "captions.jsonl"
    lines = [{"path": str(p.relative_to(tmp_path)), "caption": f"a noisy {p.parent.name} square"} for p in paths]
    captions.write_text("\n".join(map(json.dumps, lines)))
    values = {
        "title": "Colours",
        "images": str(tmp_path / "train"),
        "test_images": str(tmp_path / "test"),
        "describe": {"describer": "replay", "file": str(captions), "field": ["caption"]},
        "label": {"features": "none"},
        "arms": ["aligned", "shuffled"],
        "seeds": 2,
        "train": {
            "model": "resnet10t",
            "model_kwargs": {"channels": [4, 4, 8, 8], "stem_width": 4},
            "input_size": 16,
            "epochs": 2,
            "batch_size": 12,
            "warmup_epochs": 0,
            "device": "cpu",
        },
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path

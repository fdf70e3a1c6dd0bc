"""Generated photos in class folders, and a work folder with text embeddings of most of them."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from gpt4image.embed.table import save_table

torch.set_num_threads(1)

DIMENSION = 8


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty photos of each of two colours."""
    rng = np.random.default_rng(0)
    for number, label in enumerate(("cat", "dog")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for image in range(20):
            pixels = np.clip(rng.normal((60 + 120 * number, 90, 100), 20, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{image:02d}.png")
    return tmp_path / "photos"


@pytest.fixture
def work(photos: Path, tmp_path: Path) -> Path:
    """One text a photo, near its class's direction; two for `cat/01.png`, none for `cat/00.png`."""
    files = sorted(photos.glob("*/*.png"))
    files = [files[1], *files[1:]]
    rng = np.random.default_rng(1)
    directions = {"cat": rng.normal(size=DIMENSION), "dog": rng.normal(size=DIMENSION)}
    vectors = np.stack([directions[file.parent.name] + 0.3 * rng.normal(size=DIMENSION) for file in files])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    columns = {
        "digest": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
        "key": [file.relative_to(photos).as_posix() for file in files],
        "prompt": ["tags", *["detailed"] * (len(files) - 1)],
    }
    manifest = {"encoder": "random", "prompts": ["detailed", "tags"]}
    save_table(tmp_path / "work" / "embeddings" / "texts", vectors, pa.table(columns), manifest)
    return tmp_path / "work"

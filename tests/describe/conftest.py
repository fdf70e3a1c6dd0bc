"""Small image folders for the tests of the describe stage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ImageFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def image_folder(tmp_path: Path) -> ImageFolder:
    """Makes a folder of random JPEGs in the classes cat and dog."""

    def make(num_images: int = 6, size: int = 32, name: str = "images") -> Path:
        generator = np.random.default_rng(0)
        for number in range(num_images):
            path = tmp_path / name / ("cat", "dog")[number % 2] / f"{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(path)
        return tmp_path / name

    return make

"""Generated photos in class folders, and text embeddings that belong to them."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from gpt4image.train.settings import TrainSettings

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def make_photos(tmp_path: Path) -> Callable[..., Path]:
    """Writes `per_class` images a class; every class has its own colour under the noise."""

    def make(per_class: int = 8, classes: Sequence[str] = ("cat", "dog"), size: int = 24, name: str = "photos") -> Path:
        rng = np.random.default_rng(0)
        for number, label in enumerate(classes):
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for image in range(per_class):
                base = np.full((size, size, 3), 40 + 30 * number) + np.array([0, 50 * number, 100])
                pixels = np.clip(base + rng.integers(-30, 30, base.shape), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{image:03d}.png")
        return tmp_path / name

    return make


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a work folder whose table "texts" holds a random unit vector for the images of a folder.

    `texts_of(key)` says how many texts the image has (1 if not given).
    """

    def make(
        photos: Path, texts_of: Callable[[str], int] = lambda key: 1, dimension: int = 8, name: str = "texts"
    ) -> Path:
        import pyarrow as pa

        from gpt4image.embed.table import save_table
        from gpt4image.images import open_images, scan_images

        images = open_images(str(photos))
        digests = scan_images(images).digests
        owners = [i for i, key in enumerate(images.keys) if digests[i] for _ in range(texts_of(key))]
        vectors = np.random.default_rng(1).normal(size=(len(owners), dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        columns: dict[str, Any] = {
            "digest": [digests[i] for i in owners],
            "key": [images.keys[i] for i in owners],
            "sample": pa.array(range(len(owners)), pa.int32()),
            "text_hash": [f"{row:016x}" for row in range(len(owners))],
        }
        save_table(tmp_path / "work" / "embeddings" / name, vectors, pa.table(columns), {"encoder": "random"})
        return tmp_path / "work"

    return make


@pytest.fixture
def write_descriptions(tmp_path: Path) -> Callable[[Path], Path]:
    """Writes descriptions that name the class, of all images of a folder but the first, into the work folder."""

    def write(photos: Path) -> Path:
        from gpt4image.describe.store.rows import Description
        from gpt4image.describe.store.states import State
        from gpt4image.describe.store.store import DescriptionStore
        from gpt4image.images import open_images, scan_images

        images = open_images(str(photos))
        digests = scan_images(images).digests
        texts = [f"a {images.class_name(i)} on a {'sofa' if i % 2 else 'chair'}" for i in range(len(images))]
        with DescriptionStore.open(tmp_path / "work", create=True) as store:
            rows = zip(digests[1:], texts[1:], strict=True)
            store.write([Description(digest, "detailed", "vlm", 0, State.OK, text) for digest, text in rows])
        return tmp_path / "work"

    return write


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., TrainSettings]:
    """Makes settings of a model with 3,000 parameters that trains in a second."""

    def make(images: Path, run: str = "run", **changes: Any) -> TrainSettings:
        values = {
            "model": "resnet10t",
            "model_kwargs": {"channels": [4, 8, 8, 8], "stem_width": 4},
            "input_size": 32,
            "batch_size": 8,
            "epochs": 4,
            "warmup_epochs": 1,
            "lr": 1e-2,
            "objective": "clip",
            "device": "cpu",
        }
        return TrainSettings(str(images), tmp_path / run, **{**values, **changes})

    return make


@pytest.fixture
def start_train(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `gpt4image train` with some settings as a process of its own, or several under torchrun."""

    def start(settings: TrainSettings, processes: int = 1) -> subprocess.Popen[str]:
        config = tmp_path / f"{settings.run.name}.yaml"
        changed = {
            field.name: str(value) if isinstance(value := getattr(settings, field.name), Path) else value
            for field in dataclasses.fields(settings)
            if field.name not in ("images", "run") and getattr(settings, field.name) != field.default
        }
        config.write_text(yaml.safe_dump(changed), encoding="utf-8")
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *(launcher if processes > 1 else []), "-m", "gpt4image.cli", "train"]
        return subprocess.Popen(
            [*command, settings.images, str(settings.run), "--config", str(config)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start

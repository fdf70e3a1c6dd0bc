"""Both ImageNet recipes, scaled down by flags, under torchrun on a folder laid out like ImageNet."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from gpt4image.runs import WEIGHTS, load_manifest

RECIPES = Path(__file__).parents[2] / "recipes"
SCALED_DOWN = {
    "resnet50_imagenet": ["--model", "resnet10t", "--model-kwargs", '{"channels": [4, 8, 8, 8], "stem_width": 4}'],
    "deit_base_imagenet": [
        *["--model", "vit_tiny_patch16_224", "--model-kwargs"],
        '{"embed_dim": 24, "depth": 2, "num_heads": 3, "drop_path_rate": 0.1}',
    ],
}


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 classes with WordNet ids, 3 small JPEGs each."""
    folder, rng = tmp_path_factory.mktemp("imagenet") / "train", np.random.default_rng(0)
    for label in range(40):
        wnid = f"n{1440764 + 7919 * label:08d}"
        (folder / wnid).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((80, 60)).save(folder / wnid / f"{wnid}_{number}.JPEG")
    return folder


@pytest.mark.parametrize("recipe", SCALED_DOWN)
def test_a_recipe_runs_and_its_model_is_timms(
    recipe: str, imagenet: Path, make_table: Callable[..., Path], tmp_path: Path
) -> None:
    flags = [*SCALED_DOWN[recipe], "--input-size", "32", "--epochs", "2", "--batch-size", "24"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "gpt4image.cli", "train"]
    inputs = [str(imagenet), str(tmp_path / "run"), "--work", str(make_table(imagenet))]
    process = subprocess.run(
        [sys.executable, *launcher, *inputs, "--config", str(RECIPES / f"{recipe}.yaml"), *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    # Two processes, one result.
    assert process.stdout.count("model after 2 epochs") == 1
    manifest = load_manifest(tmp_path / "run")
    assert (len(manifest.classes), manifest.num_images, manifest.num_described) == (40, 120, 120)
    size = {"img_size": 32} if "vit" in manifest.model else {}
    model = timm.create_model(manifest.model, num_classes=40, **size, **manifest.model_kwargs)
    model.load_state_dict(load_file(tmp_path / "run" / WEIGHTS))
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 40)

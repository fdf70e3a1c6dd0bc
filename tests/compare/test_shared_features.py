"""Features that frozen runs share are there before the first of them begins."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gpt4image.compare.runner import Job, compute_shared_features
from gpt4image.images import open_images, scan_images
from gpt4image.models.create import create_model
from gpt4image.models.frozen import find_frozen
from gpt4image.models.image_features import load_image_features
from gpt4image.train import TrainSettings

KWARGS = {"channels": [4, 4, 8, 8], "stem_width": 4}


@pytest.mark.parametrize("freeze", [True, False])
def test_training_and_test_images_are_looked_at_once(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freeze: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    weights = tmp_path / "weights.pth"
    torch.save(create_model("resnet10t", 3, 32, kwargs=KWARGS).state_dict(), weights)
    model = {"model": "resnet10t", "model_kwargs": KWARGS, "init_weights": weights, "input_size": 32, "device": "cpu"}
    settings = TrainSettings(str(recipe.parent / "train"), tmp_path / "run", freeze=freeze, **model)
    compute_shared_features([Job(0, "baseline", settings, str(recipe.parent / "test"))])
    backbone = find_frozen("resnet10t", 32, weights, KWARGS)
    for name, count in (("train", 36), ("test", 120)):
        images = open_images(str(recipe.parent / name))
        found = load_image_features(images, scan_images(images).digests, backbone, "cpu")
        assert found.num_new == (0 if freeze else count)
        assert np.isfinite(found.vectors).all()

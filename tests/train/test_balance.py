"""Rare classes by their prior, and labels by another loss: in a net that is trained, and in a frozen one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gpt4image.models.create import create_model
from gpt4image.runs import load_head
from gpt4image.train import TrainSettings, train
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.objectives import losses
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import create_setup

Make = Callable[..., Path]


@pytest.fixture
def uneven(make_photos: Make) -> Path:
    """8 cats and 2 dogs."""
    photos = make_photos(8)
    for path in sorted((photos / "dog").iterdir())[2:]:
        path.unlink()
    return photos


def test_a_net_learns_by_prior_and_loss(uneven: Path, tiny: Callable[..., TrainSettings]) -> None:
    settings = tiny(uneven, balance="prior", label_loss="gce", objective="none", epochs=1)
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    assert setup.objective.log_prior is not None
    assert setup.objective.log_prior.exp().tolist() == pytest.approx([0.8, 0.2])
    assert setup.objective.label_loss is losses.generalised_cross_entropy
    assert train(settings).finished


def test_a_frozen_head_leaves_out_the_prior(uneven: Path, tiny: Callable[..., TrainSettings], tmp_path: Path) -> None:
    kwargs = {"channels": [4, 8, 8, 8], "stem_width": 4}
    torch.save(create_model("resnet10t", 3, 32, kwargs=kwargs).state_dict(), tmp_path / "weights.pth")
    start = {"init_weights": tmp_path / "weights.pth", "freeze": True, "objective": "none"}
    plain, balanced, robust = (
        train(tiny(uneven, name, **start, **how)).run
        for name, how in (("plain", {}), ("balanced", {"balance": "prior"}), ("robust", {"label_loss": "gce"}))
    )
    assert np.array_equal(load_head(plain)[0], load_head(balanced)[0])
    assert load_head(plain)[1] - load_head(balanced)[1] == pytest.approx(np.log([0.8, 0.2]), abs=1e-5)
    assert not np.allclose(load_head(plain)[0], load_head(robust)[0])

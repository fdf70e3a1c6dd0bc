"""Several processes: norms over all of them, and parameters that nobody uses."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gpt4image.errors import ModelError, SettingsError
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.loop import refuse_unused
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import create_setup
from gpt4image.train.step import train_step

Tiny = Callable[..., Any]
NORMS = Path(__file__).with_name("synced_norms.py")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
MODEL = """
import timm, torch
def make(num_classes=2, **kwargs):
    model = timm.create_model("resnet10t", num_classes=num_classes, channels=[4, 8, 8, 8], stem_width=4)
    model.extra = torch.nn.Linear(2, 2)
    return model
"""


@pytest.mark.parametrize("sync", [False, True])
def test_all_norms_are_synchronised_or_none(
    sync: bool, make_photos: Callable[..., Path], make_table: Callable[..., Path], tiny: Tiny
) -> None:
    photos = make_photos(8)
    settings = tiny(photos, work=make_table(photos), projector="mlp", sync_norm=sync)
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    norms = [one for one in setup.plain_network.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    assert any(one in norms for one in setup.plain_network.projector.modules())
    assert {isinstance(one, nn.SyncBatchNorm) for one in norms} == {sync}
    assert train_step(settings, setup, *next(iter(setup.loader)))["loss_text"].item() > 0


def test_with_norms_over_all_processes_two_have_the_gradient_of_one(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(NORMS), str(tmp_path), "1", "2"], env=ONE_THREAD, check=True, timeout=300)
    found = {world_size: torch.load(tmp_path / f"{world_size}-{world_size - 1}.pt") for world_size in (1, 2)}
    assert any(name.startswith("projector.1.") for name in found[1]), "the projector has a norm"
    for name, gradient in found[1].items():
        assert (found[2][name] - gradient).norm() <= 1e-3 * gradient.norm() + 1e-6, name


def test_norms_over_several_processors_are_refused(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="--sync-norm is for several GPUs; PyTorch has none for CPUs: leave it out"):
        create_accelerator(tiny(tmp_path, sync_norm=True))


def test_parameters_without_a_gradient_are_named() -> None:
    network = nn.ModuleList([nn.Linear(2, 1) for _ in range(4)])
    network[3].requires_grad_(False)
    network[0](torch.ones(1, 2)).sum().backward()
    with pytest.raises(ModelError, match=r"no gradient for 1.weight, 1.bias, 2.weight, 2.bias: the model has"):
        refuse_unused(network)


def test_two_processes_say_in_a_line_what_nobody_uses(make_photos: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODEL)
    launcher = [str(Path(__file__).with_name("forked.py")), "2", "train"]
    words = ["--model", "import:own:make", "--objective", "none", "--device", "cpu"]
    size = ["--input-size", "32", "--batch-size", "8", "--epochs", "2"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, *launcher, str(make_photos(8)), str(tmp_path / "run"), *words, *size]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    said = " ".join(ran.stderr.split())
    assert "no gradient for backbone.extra.weight, backbone.extra.bias: the model has parameters" in said
    assert "Expected to have finished reduction" not in said

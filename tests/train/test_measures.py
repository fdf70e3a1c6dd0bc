"""What is logged of an epoch: over all rows of all processes, and of models whose norms know all of them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt4image.label import LabelSettings, label
from gpt4image.runs import METRICS
from gpt4image.train import loop, train
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import create_setup
from gpt4image.train.step import train_step

Make = Callable[..., Path]
Tiny = Callable[..., Any]
MODELS = """
import os
import timm, torch
from torch import nn

def plain(num_classes=2, **kwargs):
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, num_classes))

def note(model, inputs, outputs):
    if not model.training:
        state = {name: value for name, value in model.named_buffers() if "running" in name}
        torch.save(state, os.path.join(os.environ["NOTES"], os.environ["RANK"] + ".pt"))

def noted(num_classes=2, **kwargs):
    model = timm.create_model("resnet10t", num_classes=num_classes, channels=[4, 8, 8, 8], stem_width=4)
    model.register_forward_hook(note)
    return model
"""


@pytest.fixture
def train_in(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Trains one of MODELS in so many processes; returns the metrics."""
    (tmp_path / "own.py").write_text(MODELS)

    def start(processes: int, model: str, photos: Path, *words: str) -> list[dict[str, Any]]:
        run = tmp_path / f"{model}{processes}"
        launcher = [str(Path(__file__).with_name("forked.py")), str(processes), "train"]
        how = ["--model", f"import:own:{model}", "--objective", "none", "--device", "cpu", "--input-size", "32"]
        size = ["--batch-size", "8", "--epochs", "2"]
        command = [sys.executable, *launcher, str(photos), str(run), *how, *size, *words]
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "NOTES": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]

    return start


def test_two_processes_log_what_one_does(make_photos: Make, train_in: Callable[..., Any]) -> None:
    photos = make_photos(8)
    one, two = (train_in(processes, "plain", photos) for processes in (1, 2))
    for name in ("loss", "loss_label", "top1_train"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-4), name


@pytest.mark.parametrize("words", [(), ("--ema-decay", "0.5")], ids=["last", "average"])
def test_all_processes_validate_the_same_model(
    words: tuple[str, ...], make_photos: Make, train_in: Callable[..., Any], tmp_path: Path
) -> None:
    """Without synchronised norms each process has the mean and variance of its own images."""
    train_in(2, "noted", make_photos(8), "--validation-share", "0.25", *words)
    states = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert states[0]["bn1.running_mean"].abs().max() > 0
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_accuracy_on_training_batches_is_that_of_images_with_a_label(
    make_photos: Make, make_table: Make, tiny: Tiny
) -> None:
    photos = make_photos(8)
    work = make_table(photos)
    label(LabelSettings(str(photos), work, prompts=("none",), features="none", keep_labels=0.25))
    settings = tiny(photos, work=work, labels="default", targets="given", batch_size=16, epochs=1)
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    setup.network.train()
    pixels, images = next(iter(setup.loader))
    logits = []
    setup.network.register_forward_hook(lambda module, inputs, outputs: logits.append(outputs[0].detach()))
    found = train_step(settings, setup, pixels, images)
    classes = torch.from_numpy(setup.targets.classes[images.numpy()])
    known = [row for row in range(16) if classes[row].sum() > 0]
    right = sum(int(logits[0][row].argmax() == classes[row].argmax()) for row in known)
    assert (int(found["labelled"]), int(found["right"])) == (len(known), right) == (4, right)
    metrics = json.loads((train(replace(settings, run=settings.run / "own")).run / METRICS).read_text())
    assert metrics["top1_train"] == pytest.approx(100 * right / 4)


class Queued:
    """A tensor that a device is still computing: only its value has to be waited for."""

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value

    def tolist(self) -> list[float]:
        time.sleep(0.5)
        return self.value.tolist()


def test_images_a_second_are_of_work_that_is_done(
    make_photos: Make, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "sum_over_processes", Queued)
    run = train(tiny(make_photos(8), objective="none", epochs=1)).run
    metrics = json.loads((run / METRICS).read_text())
    assert metrics["seconds"] >= 0.5
    assert metrics["images_per_s"] <= 16 / 0.5

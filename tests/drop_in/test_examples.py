"""The examples for somebody else's loop run as their readers would run them, and the texts get learnt."""

import os
import re
import subprocess
import sys
from pathlib import Path

import timm
import torch
from transformers import AutoModelForImageClassification

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(script: str, folder: Path, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_own_training_loop_writes_a_plain_model(photos: Path, work: Path, tmp_path: Path) -> None:
    printed = _run("own_training_loop.py", tmp_path, photos, work, 4)
    losses = [float(loss) for loss in re.findall(r"text loss ([\d.]+)", printed)]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    model = timm.create_model("resnet10t", num_classes=2)
    model.load_state_dict(torch.load(tmp_path / "model.pt"))


def test_hugging_face_trainer_writes_a_plain_model(photos: Path, work: Path, tmp_path: Path) -> None:
    printed = _run("hugging_face_trainer.py", tmp_path, photos, work, tmp_path / "out", 2)
    losses = [float(loss) for loss in re.findall(r"'loss': '?([\d.]+)", printed)]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label == {0: "cat", 1: "dog"}
    assert not any("projector" in name for name in model.state_dict())

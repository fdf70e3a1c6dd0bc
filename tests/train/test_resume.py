"""A run that was interrupted ends like one that was not, bit for bit."""

import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from gpt4image.errors import RunError, SettingsError
from gpt4image.results import ExitStatus
from gpt4image.runs import CHECKPOINT, MANIFEST, METRICS, PROJECTOR, WEIGHTS
from gpt4image.train import TrainSettings, train

Tiny = Callable[..., TrainSettings]
Make = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]

TIMES = ("images_per_s", "data_wait_share", "seconds")
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"objective": "none"},
    "clip with dropout": {"model_kwargs": {"channels": [4, 8, 8, 8], "stem_width": 4, "drop_path_rate": 0.3}},
    "mixed and erased": {"mixup": 0.8, "cutmix": 1.0, "random_erasing": 0.25, "rand_augment": "rand-m9-mstd0.5-inc1"},
    "textteacher in bf16": {"objective": "textteacher", "text_weight": 0.5, "precision": "bf16"},
    "averaged in fp16": {"precision": "fp16", "ema_decay": 0.9, "grad_accum_steps": 2, "batch_size": 8},
    "validated": {"validation_share": 0.2, "aug_repeats": 2, "related": "positive"},
    "sgd": {"optimizer": "sgd", "schedule": "step", "objective": "byol"},
}


@pytest.fixture
def data(make_photos: Make, make_table: Make) -> tuple[Path, Path]:
    photos = make_photos(10)
    return photos, make_table(photos)


def read_outcome(run: Path) -> tuple[list[dict[str, Any]], bytes, bytes]:
    """Metrics without times, weights and projector."""
    lines = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if name not in TIMES} for line in lines]
    projector = (run / PROJECTOR).read_bytes() if (run / PROJECTOR).exists() else b""
    return metrics, (run / WEIGHTS).read_bytes(), projector


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_and_two_epochs_equal_four(data: tuple[Path, Path], tiny: Tiny, variant: str) -> None:
    photos, work = data
    whole = tiny(photos, "whole", **{"work": work, **VARIANTS[variant]})
    parts = replace(whole, run=whole.run.with_name("parts"), stop_after=2)
    train(whole)
    assert train(parts).exit_status == ExitStatus.STOPPED
    assert not (parts.run / MANIFEST).exists()
    assert train(replace(parts, stop_after=None)).exit_status == ExitStatus.DONE
    assert read_outcome(parts.run) == read_outcome(whole.run)
    assert len(read_outcome(whole.run)[0]) == 4


def test_deterministic_kernels_resume_alike(data: tuple[Path, Path], tiny: Tiny) -> None:
    photos, work = data
    whole = tiny(photos, "whole", work=work, epochs=2, deterministic=True)
    train(whole)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    parts = replace(whole, run=whole.run.with_name("parts"), stop_after=1)
    train(parts)
    train(replace(parts, stop_after=None))
    assert read_outcome(parts.run) == read_outcome(whole.run)
    train(tiny(photos, "free", work=work, epochs=1))
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32


def test_what_changes_the_last_digits_is_said(
    data: tuple[Path, Path], tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tiny(data[0], epochs=2, objective="none", stop_after=1)
    train(settings)
    assert "other last digits" not in capsys.readouterr().err
    path = settings.run / "settings.yaml"
    path.write_text(path.read_text().replace("device: cpu", "device: cuda"))
    train(replace(settings, deterministic=True, device="auto"))
    assert "goes on with other last digits than it began with: device cuda to cpu, deterministic False to True" in (
        " ".join(capsys.readouterr().err.split())
    )


def test_a_device_that_is_not_there(data: tuple[Path, Path], tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("cuda:7", "mps", "abacus"):
        words = rf"device '{device}' cannot be used here .*use auto, cpu, cuda, cuda:N or mps"
        with pytest.raises(SettingsError, match=words):
            train(tiny(data[0], device=device))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="several processes take auto or cpu, each has a GPU of its own"):
        train(tiny(data[0], device="cuda:0"))


def test_the_seed_matters_and_workers_do_not(data: tuple[Path, Path], tiny: Tiny) -> None:
    photos, work = data
    outcomes = [
        read_outcome(train(tiny(photos, f"run{number}", work=work, epochs=2, **changes)).run)
        for number, changes in enumerate([{}, {"workers": 2}, {"seed": 1}])
    ]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] != outcomes[2][1]


def wait_for(path: Path, process: "subprocess.Popen[str]", timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def kill_all(pid: int) -> None:
    """torchrun's workers have process groups of their own and would live on."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=20)


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_at_a_random_moment(data: tuple[Path, Path], tiny: Tiny, start_train: Start, processes: int) -> None:
    photos, work = data
    whole = tiny(photos, "whole", work=work, epochs=60, mixup=0.8, ema_decay=0.9, aug_repeats=2)
    if processes == 1:
        train(whole)
    else:
        undisturbed = start_train(whole, processes)
        output, _ = undisturbed.communicate(timeout=240)
        assert undisturbed.returncode == 0, output

    killed = replace(whole, run=whole.run.with_name("killed"))
    process = start_train(killed, processes)
    wait_for(killed.run / CHECKPOINT, process)
    time.sleep(random.random())
    kill_all(process.pid)
    process.communicate()
    again = start_train(killed, processes)
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    assert read_outcome(killed.run) == read_outcome(whole.run)


def test_a_finished_run_is_not_done_again(data: tuple[Path, Path], tiny: Tiny) -> None:
    photos, work = data
    settings = tiny(photos, work=work, epochs=1)
    assert train(settings).redone
    before = {path: path.stat().st_mtime_ns for path in settings.run.rglob("*") if path.name != "settings.yaml"}
    again = train(settings)
    assert not again.redone
    assert again.exit_status == ExitStatus.DONE
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_checkpoints_are_replaced_in_one_step(data: tuple[Path, Path], tiny: Tiny) -> None:
    photos, work = data
    settings = tiny(photos, work=work, epochs=2)
    train(settings)
    assert sorted(path.name for path in (settings.run / CHECKPOINT).parent.iterdir()) == [".lock", "last.pt"]


def test_two_processes_do_not_train_the_same_run(data: tuple[Path, Path], tiny: Tiny, start_train: Start) -> None:
    photos, work = data
    settings = tiny(photos, work=work, epochs=10_000)
    process = start_train(settings)
    wait_for(settings.run / METRICS, process)
    with pytest.raises(RunError, match="is being trained by another process; wait for it, or stop it first"):
        train(settings)
    kill_all(process.pid)
    process.communicate()
    assert train(replace(settings, stop_after=1)).exit_status == ExitStatus.STOPPED

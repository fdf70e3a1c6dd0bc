"""What is left to the machine: on a processor as ever, on a GPU what suits it (what PyTorch says of one is given)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt4image.models.machine import autocast, choose_precision, count_workers
from gpt4image.models.pixels import EvaluationBatches
from gpt4image.train.processes import _choose_device, resolve_machine
from gpt4image.train.settings import TrainSettings

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes PyTorch say that there is a GPU."""

    def put(has_bf16: bool = True, cores: int = 32) -> None:
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: CUDA)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
        monkeypatch.setattr("os.sched_getaffinity", lambda process: range(cores))

    return put


@pytest.mark.parametrize(
    ("has_bf16", "cores", "local", "wanted"),
    [
        (True, 32, "1", ("cuda", "bf16", 8)),
        (False, 4, "1", ("cuda", "fp32", 4)),
        (True, 32, "8", ("cuda", "bf16", 4)),
        (True, 1, "2", ("cuda", "bf16", 1)),
    ],
)
def test_a_gpu_gets_what_suits_it(
    card: Callable[..., None], monkeypatch: pytest.MonkeyPatch, has_bf16: bool, cores: int, local: str, wanted: tuple
) -> None:
    card(has_bf16, cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    settings = resolve_machine(TrainSettings("photos", Path("run")))
    assert (settings.device, settings.precision, settings.workers) == wanted


def test_a_processor_gets_what_it_always_had() -> None:
    settings = resolve_machine(TrainSettings("photos", Path("run"), device="cpu"))
    assert (settings.device, settings.precision, settings.workers) == ("cpu", "fp32", 0)
    assert count_workers(None, CPU, on_cpu=2) == 2
    with autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_what_is_said_stands_and_a_run_keeps_its_precision(card: Callable[..., None], tmp_path: Path) -> None:
    card()
    settings = TrainSettings("photos", tmp_path, device="cpu", precision="fp16", workers=3)
    assert resolve_machine(settings) == settings
    (tmp_path / "settings.yaml").write_text("settings: {precision: fp32}\ncontent: {}\n")
    assert resolve_machine(TrainSettings("photos", tmp_path)).precision == "fp32"
    assert choose_precision(CUDA) == "bf16"


def test_batches_for_a_gpu_come_from_workers_and_pinned_memory(
    card: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    card(cores=3)
    seen: dict[str, Any] = {}
    monkeypatch.setattr("gpt4image.models.pixels.DataLoader", lambda dataset, size, **how: seen.update(how) or [])
    config = {"input_size": (3, 8, 8), "interpolation": "bilinear", "crop_pct": 1.0, "mean": (0,) * 3, "std": (1,) * 3}
    for keep_as in ("a set that is kept", ""):
        assert list(EvaluationBatches([], config, 4, device=CUDA, keep_as=keep_as)) == []  # type: ignore[arg-type]
        assert seen == {"num_workers": 3, "persistent_workers": not keep_as, "pin_memory": True}


def test_batches_are_copied_beside_the_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, move, told = torch.zeros(2, 3, 8, 8), torch.Tensor.to, []

    def look(tensor: torch.Tensor, *where: Any, **how: Any) -> torch.Tensor:
        if tensor is batch:
            told.append(how)
        return move(tensor, *where, **how)

    monkeypatch.setattr("gpt4image.models.pixels.DataLoader", lambda dataset, size, **how: [batch])
    monkeypatch.setattr(torch.Tensor, "to", look)
    config = {"input_size": (3, 8, 8), "interpolation": "bilinear", "crop_pct": 1.0, "mean": (0,) * 3, "std": (1,) * 3}
    assert len(list(EvaluationBatches([], config, 2, device=CPU))) == 1  # type: ignore[arg-type]
    assert told == [{"non_blocking": True}]


@pytest.mark.parametrize(
    ("name", "told", "current"),
    [("cuda:1", "cuda:1", [1]), ("cuda", "cuda", []), ("mps", "mps", []), ("cpu", None, [])],
)
def test_the_device_that_is_named_is_the_one_that_trains(
    name: str, told: str | None, current: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accelerate reads it from the environment; what asks PyTorch for the current card gets it, too."""
    made: list[int] = []
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "cuda:7")
    monkeypatch.setattr("gpt4image.train.processes.choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: made.append(device.index))
    assert _choose_device(TrainSettings("photos", Path("run"), device=name)) == torch.device(name)
    assert (os.environ.get("ACCELERATE_TORCH_DEVICE"), made) == (told, current)

"""benchmarks/gpu.py is for machines that the tests do not have: in small, it runs on a processor."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def test_the_benchmark_of_a_gpu_runs_in_small_on_a_processor(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--small", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-2000:]
    parts = (
        "timm: ",
        "/ plain ",
        "equal bit for bit",
        "aligned, official",
        "fp16",
        "loss of the aligned one at the end: ",
    )
    for part in (*parts, "texts/s", "frozen features", "label: 300 images"):
        assert part in ran.stdout


def test_waits_for_the_card_are_counted_by_what_pytorch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its notice, once in a process, that it may miss some; a stand-in for the card says what PyTorch would."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from gpu import count_waits

    notice = "Synchronization debug mode is a prototype feature and does not yet detect all synchronizing operations"
    modes: list[str] = []
    monkeypatch.setattr(
        torch.cuda, "set_sync_debug_mode", lambda mode: modes.append(mode) or warnings.warn(notice, stacklevel=2)
    )

    def step() -> None:
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=2)

    assert count_waits(step, torch.device("cuda")) == 2
    assert modes == ["warn", "default"]
    assert count_waits(step, torch.device("cpu")) is None


def test_a_step_of_ours_that_waits_for_the_card_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import gpu

    waits = {"timm": 3, "ours, plain": 1, "aligned": 2}
    monkeypatch.setattr(gpu, "count_waits", lambda step, device: step())
    ways = {name: lambda number=number: lambda: number for name, number in waits.items()}
    cpu = torch.device("cpu")
    with pytest.raises(AssertionError, match=r"wait for the card: aligned$"):
        gpu.compare_steps(ways, gpu.SMALL, cpu, most_waits=1)
    assert list(gpu.compare_steps(ways, gpu.SMALL, cpu, most_waits=2)) == list(waits)

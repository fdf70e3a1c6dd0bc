"""What suits the machine: the device, processes that decode, and the arithmetic of a card."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from gpt4image.errors import SettingsError

MOST_WORKERS = 8
"""More processes of a loader than this have not been seen to help one GPU."""


def choose_device(device: str) -> torch.device:
    """The device of that name; `auto` takes an accelerator if there is one.

    Raises:
        SettingsError: PyTorch knows no such device here.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        return torch.zeros(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"device {device!r} cannot be used here ({error}); use auto, cpu, cuda, cuda:N or mps"
        ) from error


def count_workers(wanted: int | None, device: torch.device, on_cpu: int = 0) -> int:
    """Processes that decode images: as many as wanted, or 8 at most, of this process' share of the cores, on a GPU."""
    if wanted is not None:
        return wanted
    if device.type == "cpu":
        return on_cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_WORKERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def choose_precision(device: torch.device) -> str:
    """`bf16` where the card computes it, else `fp32`."""
    has = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has else "fp32"


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Forward passes in what `choose_precision` says."""
    return torch.autocast(device.type, torch.bfloat16) if choose_precision(device) == "bf16" else nullcontext()


@contextmanager
def float32(device: torch.device) -> Iterator[None]:
    """Forward passes in float32 and nothing less: on a card no TF32, whatever was set."""
    if device.type != "cuda":
        yield
        return
    kinds: tuple[Any, ...] = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = False
        yield
    finally:
        for kind, allowed in zip(kinds, before, strict=True):
            kind.allow_tf32 = allowed

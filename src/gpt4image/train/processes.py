"""Devices and processes: one process, torchrun or accelerate launch, all the same to the rest of training."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from gpt4image.errors import Gpt4ImageError, RunError, SettingsError
from gpt4image.models.machine import choose_device, choose_precision, count_workers
from gpt4image.progress import silence
from gpt4image.train.objectives.gather import count_processes
from gpt4image.train.run_folder import load_begun
from gpt4image.train.settings import TrainSettings

T = TypeVar("T")


def create_accelerator(settings: TrainSettings) -> Any:
    """Accelerate's object for device, precision, processes and trackers; only the first process shows anything.

    Raises:
        SettingsError: the device cannot compute in this precision, or the tracker is not installed.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    if settings.tracker != "none" and find_spec(settings.tracker) is None:
        extra = "trackers" if settings.tracker == "tensorboard" else settings.tracker
        raise SettingsError(f"--tracker {settings.tracker} is not installed; pip install 'gpt4image[{extra}]'")
    settings = resolve_machine(settings)
    device = _choose_device(settings)
    if settings.sync_norm and device.type == "cpu" and count_launched() > 1:
        raise SettingsError("--sync-norm is for several GPUs; PyTorch has none for CPUs: leave it out")
    choose_kernels(settings.deterministic)
    # Accelerate remembers the last run's device and precision; this run may have others.
    AcceleratorState._reset_state(reset_partial_state=count_processes() == 1)
    try:
        accelerator = Accelerator(
            # Without being told so, Accelerate does not connect processes that have no accelerator.
            cpu=device.type == "cpu",
            mixed_precision="no" if settings.precision == "fp32" else settings.precision,
            log_with=None if settings.tracker == "none" else settings.tracker,
            project_dir=str(settings.run),
        )
    except ValueError as error:
        raise SettingsError(
            f"--precision {settings.precision} on --device {settings.device} cannot be used ({error}); choose others"
        ) from error
    launched = count_launched()
    if accelerator.num_processes != launched:
        raise SettingsError(
            f"{launched} processes were launched but are not connected ({accelerator.num_processes} found, on "
            f"{accelerator.device}); launch one process for each accelerator, or add --device cpu"
        )
    if not accelerator.is_main_process:
        silence()
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 results are printed once, by the first process
    return accelerator


def count_launched() -> int:
    """Processes that the launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def resolve_machine(settings: TrainSettings) -> TrainSettings:
    """What is left to the machine, as it is used and recorded: device, precision and loader processes.

    A run that goes on keeps the precision that it began with, whatever the machine.

    Raises:
        SettingsError: PyTorch knows no such device here, or it is one card for several processes.
    """
    if ":" in settings.device and count_launched() > 1:
        raise SettingsError(
            f"--device is {settings.device}; several processes take auto or cpu, each has a GPU of its own"
        )
    device = choose_device(settings.device)
    precision: Any = settings.precision
    if precision == "auto":
        precision = load_begun(settings.run).get("precision", "auto")
    precision = choose_precision(device) if precision == "auto" else precision
    return replace(
        settings,
        device=device.type if settings.device == "auto" else settings.device,
        precision=precision,
        workers=count_workers(settings.workers, device),
    )


def _choose_device(settings: TrainSettings) -> torch.device:
    """The device of this process; of several, each has the one that its launcher gave it."""
    several = count_launched() > 1
    device = choose_device(settings.device)
    # Accelerate takes its device from here.
    os.environ.pop("ACCELERATE_TORCH_DEVICE", None)
    if settings.device != "cpu" and not several:
        os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    if device.type == "cuda" and device.index is not None and not several:
        torch.cuda.set_device(device)
    return device


def choose_kernels(deterministic: bool) -> None:
    """The fastest kernels, or only those that give the same bits each time.

    These are convolutions without autotuning, no TF32, and a fixed workspace of cuBLAS. An operation that has no such
    kernel raises PyTorch's error, which names it.
    """
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not deterministic


def first_process_first(accelerator: Any, function: Callable[[], T]) -> T:
    """Calls `function` in the first process, then in the others; none of them waits for one that failed.

    Raises:
        Gpt4ImageError: what the first process raised; a short RunError in the others.
    """
    result: T | None = None
    error: Gpt4ImageError | None = None
    if accelerator.is_main_process:
        try:
            result = function()
        except Gpt4ImageError as raised:
            error = raised
    if accelerator.num_processes > 1:
        failed = [error is not None]
        dist.broadcast_object_list(failed, src=0)
        if failed[0] and error is None:
            raise RunError("the first process failed; see its message")
    if error is not None:
        raise error
    return result if accelerator.is_main_process else function()  # type: ignore[return-value]

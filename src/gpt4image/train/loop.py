"""The training loop: epochs, updates, checkpoints, validation, logs."""

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gpt4image.errors import ModelError, RunError, SettingsError
from gpt4image.progress import Tracker, track
from gpt4image.runs import CHECKPOINT, METRICS
from gpt4image.train.checkpoint import load_checkpoint, save_artifacts, save_checkpoint
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.data.loader import seed_everything
from gpt4image.train.objectives.gather import count_processes, sum_over_processes
from gpt4image.train.run_folder import MetricsLog, settings_to_dict
from gpt4image.train.settings import TrainSettings
from gpt4image.train.setup import Setup
from gpt4image.train.step import train_step
from gpt4image.train.validation import BestWeights, Validation

CHECKPOINT_SHARE = 0.01
"""Time that checkpoints may take, as a share of all; epochs that are shorter than that allows share one."""
MOST_UNUSED = 5
"""Parameters without a gradient that are named."""
NOTE_S = 5.0
"""Seconds between two looks at the loss: reading it waits for all that the device still has to do."""


def fit(settings: TrainSettings, inputs: Inputs, setup: Setup) -> tuple[int, float]:
    """Trains to the last epoch (or `stop_after`) and writes the run's artifacts.

    Returns:
        The epochs done so far, and the mean loss of the last one.

    Raises:
        RunError: the loss is no longer a number.
        SettingsError: the tracker does not start.
    """
    is_main = setup.accelerator.is_main_process
    validation = best = None
    if inputs.validation is not None:
        validation = Validation(settings, inputs.validation, inputs.validation_digests, setup)
        best = BestWeights(settings.run) if is_main else None
    parts = _checkpointed_parts(setup)
    done = load_checkpoint(settings.run / CHECKPOINT, parts)
    log = MetricsLog(settings.run, done) if is_main else None
    _start_tracker(settings, setup)
    start_s = time.monotonic()
    next_save_s = start_s
    last = max(done, min(settings.epochs, settings.stop_after or settings.epochs))
    loss = 0.0
    with track(f"training {settings.run.name}", (last - done) * len(setup.sampler)) as tracker:
        for epoch in range(done, last):
            metrics = _train_epoch(settings, setup, epoch, tracker)
            share_norms(settings, setup)
            loss = metrics["loss"]
            if not math.isfinite(loss):
                raise RunError(
                    f"the loss is {loss} after epoch {epoch + 1}; choose another run folder and a lower --lr, longer "
                    "--warmup-epochs or --precision fp32"
                )
            if validation is not None:
                metrics["validation_top1"] = validation.compute_top1()
                if best is not None:
                    best.save_if_better(metrics["validation_top1"], setup.final_network)
            setup.accelerator.log(metrics, step=epoch + 1)
            if log is not None:
                log.write(metrics)
            before_s = time.monotonic()
            if is_main and (epoch + 1 == last or before_s >= next_save_s):
                save_checkpoint(settings.run / CHECKPOINT, epoch + 1, parts)
                next_save_s = before_s + (time.monotonic() - before_s) / CHECKPOINT_SHARE
    # The first process may still be writing; the others must not take the connection down before it is done.
    setup.accelerator.wait_for_everyone()
    setup.accelerator.end_training()
    if last == settings.epochs and is_main:
        if best is not None:
            best.load(setup.final_network)
        save_artifacts(settings, inputs, setup, time.monotonic() - start_s)
    return last, loss


def _checkpointed_parts(setup: Setup) -> dict[str, Any]:
    parts = {"network": setup.plain_network, "optimizer": setup.optimizer}
    parts |= {"average": setup.average, "scaler": setup.accelerator.scaler}
    return {name: part for name, part in parts.items() if part is not None}


def _start_tracker(settings: TrainSettings, setup: Setup) -> None:
    """Raises SettingsError if the tracker does not start: no server, no account, a missing part of it."""
    names = {"wandb": {"name": settings.run.name, "dir": str(settings.run)}, "mlflow": {"run_name": settings.run.name}}
    values = settings_to_dict(settings).items()
    plain = {name: value for name, value in values if isinstance(value, (int, float, str, bool))}
    try:
        setup.accelerator.init_trackers("gpt4image", config=plain, init_kwargs=names)
    except Exception as error:  # Each tracker has exceptions of its own.
        reason = " ".join(str(error).split())[:300]
        raise SettingsError(
            f"--tracker {settings.tracker} does not start ({reason}); set it up, or train without: the same figures "
            f"stand in {settings.run / METRICS}"
        ) from error


def _train_epoch(settings: TrainSettings, setup: Setup, epoch: int, tracker: Tracker) -> dict[str, Any]:
    setup.network.train()
    if settings.freeze_norm:
        keep_norms(setup.plain_network.backbone)
    setup.sampler.epoch = epoch
    sums: dict[str, Tensor] = defaultdict(partial(torch.zeros, (), device=setup.accelerator.device))
    wait_s, start_s = 0.0, time.monotonic()
    ready_s = next_note_s = start_s
    for number, (pixels, images) in enumerate(setup.loader):
        step = epoch * len(setup.sampler) + number
        wait_s += time.monotonic() - ready_s
        setup.schedule.set_lr(step // settings.grad_accum_steps)
        # Dropout, drop path and mixup of this step, whatever was drawn before.
        seed_everything(settings.seed, 9, step, setup.accelerator.process_index)
        is_last = (step + 1) % settings.grad_accum_steps == 0
        # Gradients are averaged over processes once an update.
        with nullcontext() if is_last else setup.accelerator.no_sync(setup.network):
            for name, value in train_step(settings, setup, pixels, images).items():
                sums[name] += value.detach()
        if number == 0 and setup.accelerator.num_processes > 1:
            refuse_unused(setup.plain_network)
        if is_last:
            update_weights(settings, setup, (step + 1) // settings.grad_accum_steps)
        note = None
        if time.monotonic() >= next_note_s:
            note, next_note_s = f"loss {float(sums['loss']) / (number + 1):.3f}", time.monotonic() + NOTE_S
        tracker.advance(note=note)
        ready_s = time.monotonic()
    measures = average_measures(sums, len(setup.sampler))
    # Only now has the device done all of it.
    seconds = time.monotonic() - start_s
    return {
        "epoch": epoch + 1,
        "lr": setup.optimizer.param_groups[0]["lr"],
        **measures,
        "images_per_s": len(setup.sampler) * settings.batch_size / seconds,
        "data_wait_share": wait_s / seconds,
        "seconds": seconds,
    }


def average_measures(sums: Mapping[str, Tensor], num_steps: int) -> dict[str, float]:
    """Means over the steps of an epoch and all processes; accuracy over the rows that have a label."""
    totals = sum_over_processes(torch.stack(list(sums.values()))).tolist()
    found = dict(zip(sums, totals, strict=True))
    labelled, right = found.pop("labelled"), found.pop("right")
    means = {name: total / (num_steps * count_processes()) for name, total in found.items()}
    return {**means, "top1_train": 100 * right / labelled} if labelled else means


def refuse_unused(network: nn.Module) -> None:
    """Several processes wait for the gradient of every parameter; looked at after the first backward pass.

    Raises:
        ModelError: parameters of the network have none.
    """
    unused = [name for name, value in network.named_parameters() if value.requires_grad and value.grad is None]
    if unused:
        more = f" and {len(unused) - MOST_UNUSED} more" if len(unused) > MOST_UNUSED else ""
        raise ModelError(
            f"no gradient for {', '.join(unused[:MOST_UNUSED])}{more}: the model has parameters that it does not use, "
            "which several processes would wait for; give them requires_grad False, or train in one process"
        )


def keep_norms(backbone: nn.Module) -> None:
    """Batch norms keep the mean and variance of the given weights; their scale and shift still learn."""
    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def share_norms(settings: TrainSettings, setup: Setup) -> None:
    """Each process has seen other images: mean and variance of batch norms become those of all (timm's --dist-bn).

    Norms that keep those of given weights are left to the digit.
    """
    if setup.accelerator.num_processes == 1:
        return
    from timm.utils import distribute_bn

    for network in (setup.plain_network, setup.average):
        if network is not None:
            distribute_bn(network, setup.accelerator.num_processes, reduce=not settings.freeze_norm)


def update_weights(settings: TrainSettings, setup: Setup, number: int | None = None) -> None:
    """Moves the weights along the gradient that the steps added up.

    Args:
        settings: of the run.
        setup: its parts.
        number: of this update, from 1; the moving average warms up by it.
    """
    if settings.clip_grad is not None:
        setup.accelerator.clip_grad_norm_(setup.network.parameters(), settings.clip_grad)
    setup.optimizer.step()
    setup.optimizer.zero_grad()
    if setup.average is not None:
        setup.average.update(setup.plain_network, step=number)

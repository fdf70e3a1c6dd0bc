"""The training loop."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gpt4image import __version__
from gpt4image.progress import Tracker, track
from gpt4image.runs import CHECKPOINT, MANIFEST, PROJECTOR, WEIGHTS, RunManifest
from gpt4image.train.checkpoint import load_checkpoint, save_checkpoint
from gpt4image.train.inputs import Inputs
from gpt4image.train.loader import seed_everything
from gpt4image.train.run_folder import MetricsLog, settings_to_dict
from gpt4image.train.settings import TrainSettings
from gpt4image.train.setup import Setup

CHECKPOINT_INTERVAL_S = 20.0
"""Epochs shorter than this share a checkpoint."""


@dataclass
class Outcome:
    """How far training came."""

    epochs: int
    loss: float
    redone: bool


def fit(settings: TrainSettings, inputs: Inputs, setup: Setup) -> Outcome:
    """Trains to the last epoch (or `stop_after`) and writes the run's artifacts."""
    checkpoint = settings.run / CHECKPOINT
    parts = {"network": setup.plain_network, "optimizer": setup.optimizer}
    done = load_checkpoint(checkpoint, parts)
    if done == settings.epochs and (settings.run / MANIFEST).exists():
        return Outcome(done, 0.0, redone=False)
    log = MetricsLog(settings.run, done)
    start_s = saved_s = time.monotonic()
    last = min(settings.epochs, settings.stop_after or settings.epochs)
    loss = 0.0
    with track(f"training {settings.run.name}", (settings.epochs - done) * len(setup.sampler)) as tracker:
        for epoch in range(done, last):
            metrics = _train_epoch(settings, setup, epoch, tracker)
            loss = metrics["loss"]
            if not setup.accelerator.is_main_process:
                continue
            log.write(metrics)
            if epoch + 1 == last or time.monotonic() - saved_s > CHECKPOINT_INTERVAL_S:
                save_checkpoint(checkpoint, epoch + 1, parts)
                saved_s = time.monotonic()
    if last == settings.epochs and setup.accelerator.is_main_process:
        _save_model(settings, inputs, setup, time.monotonic() - start_s)
    return Outcome(last, loss, redone=True)


@dataclass
class _Means:
    """Means over the batches of an epoch, weighted by batch."""

    sums: dict[str, Any] = field(default_factory=lambda: defaultdict(float))
    count: int = 0

    def add(self, **values: torch.Tensor) -> None:
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value.detach()

    def compute(self) -> dict[str, float]:
        return {name: float(value) / self.count for name, value in self.sums.items()}


def _train_epoch(settings: TrainSettings, setup: Setup, epoch: int, tracker: Tracker) -> dict[str, Any]:
    setup.network.train()
    setup.sampler.epoch = epoch
    means, wait_s, start_s = _Means(), 0.0, time.monotonic()
    ready_s = start_s
    for step, (pixels, images) in enumerate(setup.loader):
        wait_s += time.monotonic() - ready_s
        update = epoch * len(setup.sampler) + step
        setup.scheduler.step_update(update)
        # Dropout, drop path and mixup of this update, whatever was drawn before.
        seed_everything(settings.seed, 9, update, setup.accelerator.process_index)
        means.add(**_train_step(settings, setup, pixels, images))
        tracker.advance(note=f"loss {means.compute()['loss']:.3f}" if step % 10 == 0 else None)
        ready_s = time.monotonic()
    seconds = time.monotonic() - start_s
    return {
        "epoch": epoch + 1,
        "lr": setup.optimizer.param_groups[0]["lr"],
        **means.compute(),
        "images_per_s": len(setup.sampler) * settings.batch_size / seconds,
        "data_wait_share": wait_s / seconds,
        "seconds": seconds,
    }


def _train_step(
    settings: TrainSettings, setup: Setup, pixels: torch.Tensor, images: torch.Tensor
) -> dict[str, torch.Tensor]:
    """One update; returns the parts of the loss."""
    accelerator = setup.accelerator
    pixels = pixels.to(accelerator.device, non_blocking=True, memory_format=torch.channels_last)
    targets = setup.targets.gather(images)
    if setup.mixup is not None:
        rows = torch.arange(len(pixels), device=pixels.device)
        pixels, weights = setup.mixup(pixels, rows)
        targets = targets.mix(weights[:, : len(pixels)].float())
    with accelerator.autocast():
        logits, features, projected = setup.network(pixels)
        loss = setup.objective(logits, features, projected, targets)
    accelerator.backward(loss.total)
    if settings.clip_grad is not None:
        accelerator.clip_grad_norm_(setup.network.parameters(), settings.clip_grad)
    setup.optimizer.step()
    setup.optimizer.zero_grad()
    right = (logits.argmax(1) == targets.classes.argmax(1)).float().mean() * 100
    text = {} if projected is None else {"loss_text": loss.text, "text_weight": loss.text_weight}
    return {"loss": loss.total, "loss_label": loss.label, **text, "top1_train": right}


def _save_model(settings: TrainSettings, inputs: Inputs, setup: Setup, seconds: float) -> None:
    """Writes plain weights, the projector, and last the manifest that marks the run as finished."""
    from safetensors.torch import save_file

    from gpt4image.files import atomic_path

    network = setup.plain_network
    for name, module in ((WEIGHTS, network.backbone), (PROJECTOR, network.projector)):
        if module is not None:
            state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
            with atomic_path(settings.run / name) as temporary:
                save_file(state, temporary)
    _manifest(settings, inputs, setup, seconds).save(settings.run)


def _manifest(settings: TrainSettings, inputs: Inputs, setup: Setup, seconds: float) -> RunManifest:
    text: dict[str, Any] = {}
    if inputs.table is not None:
        text = {
            "embeddings": str(Path(inputs.table.folder)),
            "table": inputs.table.manifest,
            "objective": settings.objective,
            "projector": settings.projector if setup.plain_network.projector is not None else None,
        }
    return RunManifest(
        model=settings.model,
        model_kwargs=dict(settings.model_kwargs),
        classes=list(inputs.images.classes),
        data_config={**setup.data_config, "input_size": list(setup.data_config["input_size"])},
        num_features=setup.num_features,
        images=settings.images,
        num_images=len(inputs.images),
        num_described=inputs.num_described,
        digests_hash=inputs.digests_hash,
        unreadable=inputs.unreadable,
        text=text,
        reader=setup.reader_facts,
        settings=settings_to_dict(settings),
        version=__version__,
        seconds=seconds,
    )

"""Builds what the training loop turns: network, optimizer, schedule, loader, augmentation."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from gpt4image.errors import ModelError, SettingsError
from gpt4image.models import count_features, create_model
from gpt4image.train.class_targets import compute_class_targets
from gpt4image.train.inputs import Inputs
from gpt4image.train.loader import (
    AugmentedImages,
    BatchSampler,
    SampleStream,
    create_loader,
    seed_everything,
)
from gpt4image.train.network import AlignedNetwork
from gpt4image.train.objective import ADAPTIVE, CENTRED, Objective
from gpt4image.train.projector import create_projector
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets import TargetSource, TextEmbeddings
from gpt4image.train.text_weight import TextWeight

CACHE_BYTES = 1 << 30
"""Decoded images kept in memory, over all loader processes."""


@dataclass
class Setup:
    """Everything the loop needs, on the right device.

    Attributes:
        accelerator: Accelerate's, for device, precision and processes.
        network: the wrapped network.
        optimizer: over all its parameters.
        scheduler: timm's, stepped by update.
        loader: batches of (pixels, image).
        sampler: its order; `epoch` is set by the loop.
        targets: what each image is taught.
        objective: the loss.
        mixup: timm's Mixup, or None.
        data_config: timm's description of the model's input.
        num_features: width of the pooled features.
        reader_facts: what the reader of the texts found out.
    """

    accelerator: Any
    network: nn.Module
    optimizer: Any
    scheduler: Any
    loader: Any
    sampler: BatchSampler
    targets: TargetSource
    objective: Objective
    mixup: Any
    data_config: dict[str, Any]
    num_features: int
    reader_facts: dict[str, Any]

    @property
    def plain_network(self) -> AlignedNetwork:
        """The network without the wrappers of Accelerate."""
        return self.accelerator.unwrap_model(self.network)


def create_setup(settings: TrainSettings, inputs: Inputs) -> Setup:
    """Builds the setup; the initial weights are a function of the seed alone.

    Raises:
        ModelError: the model cannot be trained with these settings.
        SettingsError: timm does not know an optimizer, schedule or augmentation.
    """
    from accelerate import Accelerator

    precision = "no" if settings.precision == "fp32" else settings.precision
    accelerator = Accelerator(cpu=settings.device == "cpu", mixed_precision=precision)
    network, data_config, num_features = _create_network(settings, inputs)
    optimizer = _create_optimizer(settings, network)
    classes, reader_facts = compute_class_targets(settings, inputs)
    text = _text_embeddings(settings, inputs)
    pool = np.flatnonzero((classes.sum(1) > 0) | (text.has_text() if text else False))
    sampler = _create_sampler(settings, len(inputs.images), pool, accelerator)
    scheduler = _create_scheduler(settings, optimizer, len(sampler))
    network.to(memory_format=torch.channels_last)
    network, optimizer = accelerator.prepare(network.to(accelerator.device), optimizer)
    return Setup(
        accelerator=accelerator,
        network=network,
        optimizer=optimizer,
        scheduler=scheduler,
        loader=_create_loader(settings, inputs, data_config, sampler, accelerator.device),
        sampler=sampler,
        targets=TargetSource(classes, text, accelerator.device),
        objective=_create_objective(settings),
        mixup=_create_mixup(settings),
        data_config=data_config,
        num_features=num_features,
        reader_facts=reader_facts,
    )


def _create_network(settings: TrainSettings, inputs: Inputs) -> tuple[AlignedNetwork, dict[str, Any], int]:
    from timm.data import resolve_data_config

    size = settings.input_size
    seed_everything(settings.seed, 7)
    backbone = create_model(
        settings.model, len(inputs.images.classes), size, settings.pretrained, settings.model_kwargs
    )
    data_config = resolve_data_config({"input_size": (3, size, size)}, model=backbone)
    try:
        num_features = count_features(backbone, size)
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model {settings.model!r} does not take {size} px images ({reason}); try --input-size"
        ) from error
    projector = None
    if inputs.table is not None and settings.objective != "none":
        seed_everything(settings.seed, 8)
        projector = create_projector(
            settings.projector, num_features, int(inputs.table.vectors.shape[1]), std=settings.projector_std
        )
    return AlignedNetwork(backbone, projector), data_config, num_features


def _create_optimizer(settings: TrainSettings, network: nn.Module) -> Any:
    from timm.optim import create_optimizer_v2

    extra: dict[str, Any] = {"momentum": settings.momentum} if "sgd" in settings.optimizer else {}
    try:
        return create_optimizer_v2(
            network, opt=settings.optimizer, lr=settings.lr, weight_decay=settings.weight_decay, **extra
        )
    except (ValueError, AssertionError, KeyError) as error:
        raise SettingsError(f"--optimizer is {settings.optimizer!r}; timm.optim.list_optimizers() names all") from error


def _create_scheduler(settings: TrainSettings, optimizer: Any, steps_per_epoch: int) -> Any:
    from timm.scheduler import create_scheduler_v2

    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched=settings.schedule,
        num_epochs=settings.epochs,
        min_lr=settings.min_lr,
        warmup_lr=settings.warmup_lr,
        warmup_epochs=min(settings.warmup_epochs, settings.epochs),  # type: ignore[arg-type]
        step_on_epochs=False,
        updates_per_epoch=steps_per_epoch,
    )
    return scheduler


def _create_sampler(settings: TrainSettings, num_images: int, pool: np.ndarray, accelerator: Any) -> BatchSampler:
    if settings.batch_size % accelerator.num_processes:
        raise SettingsError(
            f"--batch-size is {settings.batch_size}; it must be a multiple of the {accelerator.num_processes} processes"
        )
    num_steps = max(1, num_images // settings.batch_size)
    stream = SampleStream(pool, settings.seed)
    return BatchSampler(stream, settings.batch_size, num_steps, accelerator.process_index, accelerator.num_processes)


def _create_loader(
    settings: TrainSettings, inputs: Inputs, data_config: dict[str, Any], sampler: BatchSampler, device: torch.device
) -> Any:
    from timm.data import create_transform

    transform = create_transform(
        input_size=data_config["input_size"],
        is_training=True,
        scale=(settings.min_scale, 1.0),
        hflip=settings.hflip,
        color_jitter=settings.color_jitter,
        auto_augment=settings.rand_augment,
        interpolation=data_config["interpolation"],
        mean=data_config["mean"],
        std=data_config["std"],
        re_prob=settings.random_erasing,
    )
    # The smallest crop, at its most oblong, must still be as large as the model's input.
    side = math.ceil(settings.input_size / math.sqrt(0.75 * settings.min_scale))
    room = CACHE_BYTES // max(1, settings.workers)
    dataset = AugmentedImages(inputs.images, transform, (side, side), settings.seed, room)
    return create_loader(dataset, sampler, settings.workers, pin_memory=device.type == "cuda")


def _text_embeddings(settings: TrainSettings, inputs: Inputs) -> TextEmbeddings | None:
    if inputs.table is None or inputs.index is None or settings.objective == "none":
        return None
    return TextEmbeddings(inputs.table, inputs.index, centre=settings.objective in CENTRED)


def _create_objective(settings: TrainSettings) -> Objective:
    return Objective(
        settings.objective,
        TextWeight(settings.text_weight),
        settings.temperature,
        adaptive=settings.objective in ADAPTIVE,
    )


def _create_mixup(settings: TrainSettings) -> Any:
    """timm's Mixup over row numbers: its "labels" are the weights with which rows are mixed."""
    if not settings.mixup and not settings.cutmix:
        return None
    from timm.data import Mixup

    return Mixup(
        mixup_alpha=settings.mixup,
        cutmix_alpha=settings.cutmix,
        label_smoothing=0.0,
        num_classes=settings.batch_size,
    )

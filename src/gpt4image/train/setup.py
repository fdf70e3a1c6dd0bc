"""Builds what the training loop turns: network, optimizer, schedule, loader, targets, objective."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import ModelError, SettingsError
from gpt4image.models.create import create_model, find_input_size
from gpt4image.models.tap import count_features
from gpt4image.progress import say
from gpt4image.train.data.augment import create_augmentation, create_mixup
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.data.loader import AugmentedImages, BatchSampler, SampleStream, create_loader, seed_everything
from gpt4image.train.objectives.losses import generalised_cross_entropy, soft_cross_entropy
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.projector import create_projector
from gpt4image.train.optimizer import Schedule, create_optimizer
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.classes import compute_class_targets
from gpt4image.train.targets.source import (
    ClassTargets,
    TargetSource,
    TextTargets,
    find_log_prior,
    find_most_probable,
    find_taught,
    repeat_rare,
)
from gpt4image.train.targets.tokens import TokenTargets

FINE_TUNING = (
    "warning: training starts from given weights; alignment with texts that comes in only now lowered the accuracy of "
    "a strong pre-trained model by 4.4 points (TextTeacher, arXiv 2605.22098): compare with --objective none"
)


@dataclass
class Setup:
    """Everything the loop needs, on the right device.

    Attributes:
        accelerator: Accelerate's, for device, precision and processes.
        network: the wrapped network.
        plain_network: the same without wrappers.
        average: timm's moving average of the plain network, or None.
        optimizer: over all its parameters.
        schedule: of the learning rate.
        loader: batches of (pixels, image).
        sampler: its order; `epoch` is set by the loop.
        targets: what each image is taught.
        objective: the loss.
        mixup: timm's Mixup, or None.
        data_config: timm's description of the model's input.
        num_features: width of the pooled features.
    """

    accelerator: Any
    network: nn.Module
    plain_network: AlignedNetwork
    average: Any
    optimizer: Any
    schedule: Schedule
    loader: Any
    sampler: BatchSampler
    targets: TargetSource
    objective: Objective
    mixup: Any
    data_config: dict[str, Any]
    num_features: int

    @property
    def final_network(self) -> AlignedNetwork:
        """The network that is evaluated and saved: the average if there is one."""
        return self.plain_network if self.average is None else self.average.module


def create_setup(settings: TrainSettings, inputs: Inputs, accelerator: Any) -> Setup:
    """Builds the setup; the initial weights are a function of the seed alone.

    Raises:
        ModelError: the model cannot be trained with these settings.
        SettingsError: timm does not know an optimizer, schedule or augmentation.
    """
    from timm.utils import ModelEmaV3

    text = _create_text_targets(settings, inputs)
    plain_network, data_config, num_features = _create_network(settings, inputs, text)
    plain_network.to(accelerator.device).to(memory_format=torch.channels_last)
    average = None
    if settings.ema_decay is not None:
        # Without warm-up, a small set's few updates would leave mostly the initial weights in the average.
        average = ModelEmaV3(plain_network, decay=settings.ema_decay, use_warmup=True)
    optimizer = create_optimizer(settings, plain_network)
    classes = compute_class_targets(settings, inputs)
    has_text = np.zeros(len(classes), dtype=bool) if text is None else text.has_text()
    pool = np.flatnonzero(find_taught(classes) | has_text)
    if settings.balance == "sampler":
        pool = repeat_rare(pool, find_most_probable(classes), settings.seed)
    sampler = _create_sampler(settings, len(inputs.images), pool, accelerator)
    schedule = Schedule(settings, optimizer, len(sampler) // settings.grad_accum_steps)
    if settings.compile:
        plain_network.compile()
    network, optimizer = accelerator.prepare(plain_network, optimizer)
    reader, transform = create_augmentation(settings, inputs.images, data_config)
    dataset = AugmentedImages(inputs.images, reader, transform, settings.seed)
    return Setup(
        accelerator=accelerator,
        network=network,
        plain_network=plain_network,
        average=average,
        optimizer=optimizer,
        schedule=schedule,
        loader=create_loader(dataset, sampler, settings.workers or 0, accelerator.device),
        sampler=sampler,
        targets=TargetSource(classes, text, accelerator.device),
        objective=_create_objective(settings, classes, accelerator.device),
        mixup=create_mixup(settings, settings.batch_size // accelerator.num_processes),
        data_config=data_config,
        num_features=num_features,
    )


def _create_text_targets(settings: TrainSettings, inputs: Inputs) -> TextTargets | None:
    if settings.objective == "tokens" and inputs.texts is not None:
        return TokenTargets(inputs.texts)
    if inputs.table is None or inputs.index is None or settings.objective == "none":
        return None
    return TextEmbeddings(inputs.table, inputs.index, settings.centring_or_published)


def _create_network(
    settings: TrainSettings, inputs: Inputs, text: TextTargets | None
) -> tuple[AlignedNetwork, dict[str, Any], int]:
    size = settings.input_size or find_input_size(settings.model)
    seed_everything(settings.seed, 7)
    start = (settings.pretrained, settings.model_kwargs, settings.init_weights)
    backbone = create_model(settings.model, len(inputs.images.classes), size, *start)
    if text is not None and (settings.pretrained or settings.init_weights is not None):
        say(FINE_TUNING)
    try:
        num_features = count_features(backbone, size)
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model {settings.model!r} does not take {size} px images ({reason}); try --input-size"
        ) from error
    projector = None
    if text is not None:
        seed_everything(settings.seed, 8)
        projector = create_projector(
            settings.projector, num_features, text.dimension, settings.projector_norm, settings.projector_std
        )
    network = AlignedNetwork(backbone, projector)
    if settings.sync_norm:
        network = synchronise_norms(network)
    return network, _create_data_config(settings, backbone, size), num_features


def synchronise_norms(network: AlignedNetwork) -> AlignedNetwork:
    """Batch norms take mean and variance of the images of all processes, the projector's as well."""
    from timm.layers import convert_sync_batchnorm

    return convert_sync_batchnorm(network)


def _create_data_config(settings: TrainSettings, backbone: nn.Module, size: int) -> dict[str, Any]:
    from timm.data import resolve_data_config

    wanted = {"interpolation": settings.interpolation, "crop_pct": settings.crop_pct}
    given = {name: value for name, value in wanted.items() if value is not None}
    return resolve_data_config({"input_size": (3, size, size), **given}, model=backbone)


def _create_sampler(settings: TrainSettings, num_images: int, pool: np.ndarray, accelerator: Any) -> BatchSampler:
    num_processes = accelerator.num_processes
    if settings.batch_size % num_processes:
        raise SettingsError(
            f"--batch-size is {settings.batch_size}; it must be a multiple of the {num_processes} processes"
        )
    taken = settings.batch_size * settings.grad_accum_steps
    if taken >= 2 * num_images and accelerator.is_main_process:
        say(
            f"an update takes {taken:,} images and there are {num_images:,}: an epoch is one update and "
            f"{taken / num_images:.0f} passes over them; smaller --batch-size or fewer --grad-accum-steps make it one"
        )
    updates = max(1, num_images // taken)
    stream = SampleStream(pool, settings.seed, settings.aug_repeats)
    num_steps = updates * settings.grad_accum_steps
    return BatchSampler(stream, settings.batch_size, num_steps, accelerator.process_index, num_processes)


def _create_objective(settings: TrainSettings, classes: ClassTargets, device: torch.device) -> Objective:
    return Objective(
        settings.objective,
        settings.text_weight,
        settings.temperature,
        settings.related,
        adaptive=settings.objective == "textteacher",
        official=settings.compat == "gpt4image",
        label_loss=soft_cross_entropy if settings.label_loss == "cross_entropy" else generalised_cross_entropy,
        log_prior=torch.from_numpy(find_log_prior(classes)).to(device) if settings.balance == "prior" else None,
        even=True,
    )

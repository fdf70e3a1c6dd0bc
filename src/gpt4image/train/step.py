"""One step: forward and backward pass over one batch of this process."""

import numpy as np
import torch
from torch import Tensor

from gpt4image.pixels import normalize
from gpt4image.train.settings import TrainSettings
from gpt4image.train.setup import Setup
from gpt4image.train.targets.source import Targets

MEASURE_EVERY = 20
"""Updates between two measurements of what is only logged."""


def train_step(settings: TrainSettings, setup: Setup, pixels: Tensor, images: Tensor, step: int) -> dict[str, Tensor]:
    """Adds the gradient of a batch; returns what is logged of it.

    Args:
        settings: of the run.
        setup: of the run.
        pixels: [B, 3, H, W], bytes or normalized.
        images: int64 [B], positions in the image set.
        step: number of the batch since the run began.
    """
    accelerator = setup.accelerator
    pixels = normalize(pixels.to(accelerator.device, non_blocking=True), setup.data_config)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    targets = setup.targets.gather(images)
    if setup.mixup is not None:
        pixels, weights = setup.mixup(pixels, torch.arange(len(pixels), device=pixels.device))
        targets = targets.mix(weights.float(), text_too=settings.compat != "gpt4image")
    update = step // settings.grad_accum_steps
    with accelerator.autocast():
        logits, projected = setup.network(pixels)
        loss = setup.objective(
            logits,
            setup.plain_network.take_features(),
            projected,
            targets,
            progress=update / (settings.epochs * setup.updates_per_epoch),
            extra=_extra_targets(settings, setup, step),
            measure=update % MEASURE_EVERY == 0,
        )
    accelerator.backward(loss.total / settings.grad_accum_steps)
    right = (logits.detach().argmax(1) == targets.classes.argmax(1)).float().mean() * 100
    text = {} if projected is None else {"loss_text": loss.text, "text_weight": loss.text_weight, **loss.measures}
    if targets.has_text is not None:
        text["described_share"] = targets.has_text.float().mean()
    return {"loss": loss.total, "loss_label": loss.label, **text, "top1_train": right}


def _extra_targets(settings: TrainSettings, setup: Setup, step: int) -> Targets | None:
    """Texts of other images, drawn anew for each step, the same in every process.

    As text embeddings are frozen, drawing them serves as a memory queue would, and nothing of it need be saved.
    """
    if not settings.extra_texts or not len(setup.described):
        return None
    rng = np.random.default_rng([settings.seed, 12, step])
    count = min(settings.extra_texts, len(setup.described))
    return setup.targets.gather(torch.from_numpy(rng.choice(setup.described, count, replace=False)))

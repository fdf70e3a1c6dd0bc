"""One step: forward and backward pass over one batch of this process."""

import torch
from torch import Tensor

from gpt4image.models.pixels import normalize
from gpt4image.train.settings import TrainSettings
from gpt4image.train.setup import Setup


def train_step(settings: TrainSettings, setup: Setup, pixels: Tensor, images: Tensor) -> dict[str, Tensor]:
    """Adds the gradient of a batch; returns means of it that are logged, and how many rows are `labelled` and `right`.

    Args:
        settings: of the run.
        setup: of the run.
        pixels: [B, 3, H, W], bytes or normalized.
        images: int64 [B], positions in the image set.
    """
    accelerator = setup.accelerator
    pixels = normalize(pixels.to(accelerator.device, non_blocking=True), setup.data_config)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    targets = setup.targets.gather(images)
    if setup.mixup is not None:
        pixels, weights = setup.mixup(pixels, torch.arange(len(pixels), device=pixels.device))
        targets = targets.mix(weights.float(), text_too=settings.compat != "gpt4image")
    with accelerator.autocast():
        logits, projected = setup.network(pixels)
    # In float32: in lower precision a cosine has an error of 0.004, divided by the temperature.
    loss = setup.objective(logits, setup.plain_network.take_features(), projected, targets)
    accelerator.backward(loss.total / settings.grad_accum_steps)
    labelled = targets.classes.sum(1) > 0
    right = labelled & (logits.detach().argmax(1) == targets.classes.argmax(1))
    text = {}
    if projected is not None:
        described = targets.has_text.float().mean()
        text = {"loss_text": loss.text, "text_weight": loss.text_weight, "described_share": described}
    sums = {"labelled": labelled.sum(), "right": right.sum()}
    return {"loss": loss.total, "loss_label": loss.label, **text, **sums}

"""What a model says about an image set: logits and pooled features, in the order of the images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet
from gpt4image.models.pixels import Change, load_batches
from gpt4image.models.tap import FeatureTap
from gpt4image.progress import track

BATCH, CPU_BATCH = 128, 16
"""Images at a time on an accelerator, and on a processor, whose cache holds no more (benchmarks/freeze.py)."""


@dataclass(frozen=True)
class Outputs:
    """One row an image: `logits` [N, C] and the pooled `features` [N, F] that the classifier saw."""

    logits: Float32[np.ndarray, "n c"]
    features: Float32[np.ndarray, "n f"]


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
            f"device {device!r} cannot be used here ({error}); use auto, cpu, cuda or cuda:N"
        ) from error


@torch.inference_mode()
def predict(
    model: nn.Module,
    images: ImageSet,
    data_config: Mapping[str, Any],
    batch_size: int | None = None,
    workers: int = 0,
    device: str = "auto",
    label: str = "evaluating",
    change: Change | None = None,
) -> Outputs:
    """Runs a classifier over readable images, with a progress bar.

    Args:
        model: takes float32 [B, C, H, W], returns logits [B, classes].
        images: all of them must be decodable (`scan_images` says which are).
        data_config: timm's: input_size, interpolation, mean, std, crop_pct.
        batch_size: images at a time; as many as suit the device if None.
        workers: processes that decode images.
        device: where to run, or `auto`.
        label: what the progress bar says.
        change: done to each cropped picture, such as a corruption.

    Raises:
        UnreadableImageError: an image cannot be decoded.
    """
    chosen = choose_device(device)
    model = model.to(chosen).to(memory_format=torch.channels_last).eval()
    size = batch_size or (CPU_BATCH if chosen.type == "cpu" else BATCH)
    tap = FeatureTap(model)
    logits, features = [], []
    with track(label, len(images)) as tracker:
        for pixels in load_batches(images, data_config, size, workers, chosen, change):
            logits.append(model(pixels).float().cpu())
            features.append(tap.take().float().cpu())
            tracker.advance(len(pixels))
    tap.close()
    return Outputs(torch.cat(logits).numpy(), torch.cat(features).numpy())

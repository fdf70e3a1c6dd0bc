"""What a model says about an image set: logits and pooled features, in the order of the images."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from gpt4image.images import ImageSet
from gpt4image.models.machine import autocast, choose_device
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


@torch.inference_mode()
def predict(
    model: nn.Module,
    images: ImageSet,
    data_config: Mapping[str, Any],
    batch_size: int | None = None,
    workers: int | None = None,
    device: str = "auto",
    label: str = "evaluating",
    change: Change | None = None,
    precision: Literal["auto", "fp32"] = "auto",
) -> Outputs:
    """Runs a classifier over readable images, with a progress bar.

    Args:
        model: takes float32 [B, C, H, W], returns logits [B, classes].
        images: all of them must be decodable (`scan_images` says which are).
        data_config: timm's: input_size, interpolation, mean, std, crop_pct.
        batch_size: images at a time; as many as suit the device if None.
        workers: processes that decode images; as many as suit the device if None.
        device: where to run, or `auto`.
        label: what the progress bar says.
        change: done to each cropped picture, such as a corruption.
        precision: of the forward pass; auto is bf16 on cards that have it.

    Raises:
        UnreadableImageError: an image cannot be decoded.
    """
    chosen = choose_device(device)
    model = model.to(chosen).to(memory_format=torch.channels_last).eval()
    size = batch_size or (CPU_BATCH if chosen.type == "cpu" else BATCH)
    tap = FeatureTap(model)
    logits, features = _Rows(len(images)), _Rows(len(images))
    with track(label, len(images)) as tracker, nullcontext() if precision == "fp32" else autocast(chosen):
        for pixels in load_batches(images, data_config, size, workers, chosen, change):
            logits.add(model(pixels).float())
            features.add(tap.take().float())
            tracker.advance(len(pixels))
    tap.close()
    if chosen.type != "cpu":
        torch.accelerator.synchronize(chosen)
    return Outputs(logits.rows.numpy(), features.rows.numpy())


class _Rows:
    """Float32 rows that come in batches from the device, which nobody waits for before the last one."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self.rows = total, 0, torch.empty(total, 0)

    def add(self, batch: Tensor) -> None:
        if not self._done:
            self.rows = torch.empty(self._total, batch.shape[1], pin_memory=batch.is_cuda)
        self.rows[self._done : self._done + len(batch)].copy_(batch, non_blocking=True)
        self._done += len(batch)

"""Images as a model's input: timm's evaluation transform, and the normalization of batches."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float32
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gpt4image.images import ImageSet
from gpt4image.models.machine import count_workers

Change = Callable[[Image.Image], Image.Image]
KEPT_BYTES = 1 << 28
"""Pixels that are kept for the next model; of larger sets none."""

_kept: dict[str, list[Tensor]] = {}


def normalize(pixels: Tensor, data_config: Mapping[str, Any]) -> Tensor:
    """The model's input from a batch [B, 3, H, W] of bytes; numbers are normalized already.

    Once a batch and where the model is: bytes are a quarter of the copying and spare the loader the arithmetic.
    """
    if pixels.dtype != torch.uint8:
        return pixels
    mean, std = _statistics(tuple(data_config["mean"]), tuple(data_config["std"]), pixels.device)
    return (pixels.float() - mean) / std


@lru_cache
def _statistics(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of bytes [3, 1, 1], brought to the device once: the copy would wait for it."""
    with torch.inference_mode(False):
        scale, shift = (255 * torch.tensor(values, dtype=torch.float).view(3, 1, 1) for values in (std, mean))
        return shift.to(device), scale.to(device)


class EvaluationBatches:
    """Images in their order, resized, centre-cropped and normalized, channels last: batches [B, C, H, W] of float32.

    They may be asked for again: what is not kept is decoded by the same processes, which live as long as this does.

    Args:
        images: all of them must be decodable (`scan_images` says which are).
        data_config: timm's: input_size, interpolation, mean, std, crop_pct.
        batch_size: images at a time.
        workers: processes that decode images; as many as suit the device if None.
        device: where the model is.
        change: done to each cropped picture, such as a corruption.
        keep_as: hash of these images, if they may be asked for again in this process, also for another model; the
            pixels of one such set are kept, where they are few.

    Raises:
        UnreadableImageError: an image cannot be decoded (as batches are taken).
    """

    def __init__(
        self,
        images: ImageSet,
        data_config: Mapping[str, Any],
        batch_size: int,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        change: Change | None = None,
        keep_as: str = "",
    ) -> None:
        self.data_config, self.device = data_config, torch.device(device)
        workers = count_workers(workers, self.device)
        few = change is None and len(images) * math.prod(data_config["input_size"]) <= KEPT_BYTES
        self._keep_as = f"{keep_as} {batch_size} {sorted(data_config.items())}" if keep_as and few else ""
        self._decoded = DataLoader(
            EvaluationImages(images, data_config, change),
            batch_size,
            num_workers=workers,
            # What is kept is decoded once, and nobody waits for more.
            persistent_workers=workers > 0 and not self._keep_as,
            pin_memory=self.device.type == "cuda",
        )

    def __iter__(self) -> Iterator[Float32[Tensor, "b c h w"]]:
        for pixels in _keep(self._decoded, self._keep_as) if self._keep_as else self._decoded:
            pixels = normalize(pixels.to(self.device, non_blocking=True), self.data_config)
            yield pixels.contiguous(memory_format=torch.channels_last)


def _keep(batches: Iterable[Tensor], name: str) -> Iterator[Tensor]:
    """The batches, made once as long as no others are kept."""
    if name in _kept:
        yield from _kept[name]
        return
    _kept.clear()
    made = []
    for pixels in batches:
        made.append(pixels)
        yield pixels
    _kept[name] = made


class EvaluationImages(Dataset[Tensor]):
    """Images under timm's evaluation transform, bytes [C, H, W] that are still to be normalized.

    Args:
        images: the images.
        data_config: timm's.
        change: done to the cropped picture before it becomes a tensor.
    """

    def __init__(self, images: ImageSet, data_config: Mapping[str, Any], change: Change | None = None) -> None:
        from timm.data import create_transform

        config = {**data_config, "input_size": tuple(data_config["input_size"])}
        # "Prefetcher" is timm's name for: leave the pixels bytes.
        self.images, self.transform = images, create_transform(**config, is_training=False, use_prefetcher=True)
        if change is not None:
            self.transform.transforms.insert(-1, change)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(self.images.decode(index))

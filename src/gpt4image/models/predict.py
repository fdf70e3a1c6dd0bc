"""What a model says about an image set: logits and pooled features, in the order of the images."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from gpt4image.images import ImageSet
from gpt4image.models.machine import autocast, choose_device, float32
from gpt4image.models.pixels import Change, EvaluationBatches
from gpt4image.models.tap import FeatureTap
from gpt4image.progress import track

T = TypeVar("T")
BATCH = 128
"""Images at a time on an accelerator."""
CPU_PIXELS = 16 * 160 * 160
"""Of the images at a time on a processor, whose cache holds no more (benchmarks/freeze.py, benchmarks/evaluate.py)."""


@dataclass(frozen=True)
class Outputs:
    """One row an image: `logits` [N, C] and the pooled `features` [N, F] that the classifier saw."""

    logits: Float32[np.ndarray, "n c"]
    features: Float32[np.ndarray, "n f"]


def predict(model: nn.Module, images: ImageSet, data_config: Mapping[str, Any], **how: Any) -> Outputs:
    """Runs a classifier over readable images, with a progress bar; see `predict_blocks`."""
    blocks = list(predict_blocks(model, images, data_config, len(images), **how))
    return blocks[0] if blocks else Outputs(np.empty((0, 0), np.float32), np.empty((0, 0), np.float32))


@torch.inference_mode()
def predict_blocks(
    model: nn.Module,
    images: ImageSet,
    data_config: Mapping[str, Any],
    block: int,
    batch_size: int | None = None,
    workers: int | None = None,
    device: str = "auto",
    label: str = "evaluating",
    change: Change | None = None,
    precision: Literal["auto", "fp32"] = "auto",
    keep_as: str = "",
) -> Iterator[Outputs]:
    """What a classifier says about readable images, so many at a time, with one progress bar.

    What it says of an image does not depend on the number of threads of the processor.

    Args:
        model: takes float32 [B, C, H, W], returns logits [B, classes].
        images: all of them must be decodable (`scan_images` says which are).
        data_config: timm's: input_size, interpolation, mean, std, crop_pct.
        block: images that are handed over together; the last batch is not cut.
        batch_size: images at a time; as many as suit the device if None.
        workers: processes that decode images; as many as suit the device if None.
        device: where to run, or `auto`.
        label: what the progress bar says.
        change: done to each cropped picture, such as a corruption.
        precision: of the forward pass; auto is bf16 on cards that have it, fp32 is without TF32.
        keep_as: see `EvaluationBatches`.

    Raises:
        UnreadableImageError: an image cannot be decoded.
    """
    chosen = choose_device(device)
    model = model.to(chosen).to(memory_format=torch.channels_last).eval()
    size = batch_size or count_at_once(chosen, data_config)

    def look(pixels: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(), float32(chosen) if precision == "fp32" else autocast(chosen):
            return model(pixels).float(), tap.take().float()

    batches = EvaluationBatches(images, data_config, size, workers, chosen, change, keep_as)
    found = _map_on_threads(look, batches) if chosen.type == "cpu" else map(look, batches)
    done, logits, features = 0, _Rows(block + size), _Rows(block + size)
    with closing(FeatureTap(model)) as tap, track(label, len(images)) as tracker:
        for of_logits, of_features in found:
            logits.add(of_logits)
            features.add(of_features)
            tracker.advance(len(of_logits))
            done += len(of_logits)
            if logits.num_done >= block or done == len(images):
                if chosen.type != "cpu":
                    torch.accelerator.synchronize(chosen)
                yield Outputs(logits.take(), features.take())


def count_at_once(device: torch.device, data_config: Mapping[str, Any]) -> int:
    """Images that suit a device, and on a processor their size."""
    if device.type != "cpu":
        return BATCH
    return max(1, min(BATCH, CPU_PIXELS // math.prod(data_config["input_size"][1:])))


def _map_on_threads(look: Callable[[Tensor], T], batches: Iterable[Tensor]) -> Iterator[T]:
    """What `look` makes of each batch, in order: several batches at once, each on one of this process' threads.

    PyTorch's own way, one batch on all threads, gives other last digits with another number of them, and its threads
    wait for each other after each operation.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(look, batches)
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting = deque[Future[T]]()
            for batch in batches:
                waiting.append(pool.submit(look, batch))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            for one in waiting:
                yield one.result()
    finally:
        torch.set_num_threads(threads)


class _Rows:
    """Float32 rows that come in batches from the device, which nobody waits for before they are taken."""

    def __init__(self, room: int) -> None:
        self.num_done, self._room, self._rows = 0, room, torch.empty(0)

    def add(self, batch: Tensor) -> None:
        if not self.num_done:
            self._rows = torch.empty(self._room, batch.shape[1], pin_memory=batch.is_cuda)
        self._rows[self.num_done : self.num_done + len(batch)].copy_(batch, non_blocking=True)
        self.num_done += len(batch)

    def take(self) -> np.ndarray:
        """The rows so far, once."""
        rows, self.num_done = self._rows[: self.num_done].numpy(), 0
        return rows

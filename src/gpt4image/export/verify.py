"""Whether an exported model answers as the trained one, on real images and not on one random tensor."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from gpt4image.errors import VerificationError
from gpt4image.images import ImageSet
from gpt4image.progress import track

Predictor = Callable[[torch.Tensor], np.ndarray]
BATCH_SIZE = 64
NUM_GENERATED = 64
TOLERANCES = {"timm": 1e-5, "onnx": 1e-3}
"""Largest difference of a logit: timm runs the same weights in the same kernels, onnxruntime has kernels of its own."""


@dataclass(frozen=True)
class Agreement:
    """How an exported model's logits compare with the trained model's.

    Attributes:
        max_logit_difference: largest absolute difference.
        num_other_class: images whose most likely class is another one.
        top1: accuracy of the exported model in percent; None without labels.
        trained_top1: accuracy of the trained model on the same images.
    """

    max_logit_difference: float
    num_other_class: int
    top1: float | None
    trained_top1: float | None


def batches_of(images: ImageSet | None, data_config: Mapping[str, Any]) -> Iterator[torch.Tensor]:
    """Batches of float32 [b, C, H, W]: the images, or generated ones (noise, coarse to fine) if there are none."""
    from gpt4image.models.pixels import EvaluationBatches

    if images is not None:
        yield from EvaluationBatches(images, data_config, BATCH_SIZE)
        return
    generator, size = torch.Generator().manual_seed(0), tuple(data_config["input_size"])
    for number in range(NUM_GENERATED // 16):
        coarse = torch.randn(16, size[0], 2 ** (number + 2), 2 ** (number + 2), generator=generator)
        yield torch.nn.functional.interpolate(coarse, size=size[1:], mode="bilinear")


@torch.inference_mode()
def collect_logits(
    predictors: Mapping[str, Predictor], batches: Iterator[torch.Tensor], total: int
) -> dict[str, Float32[np.ndarray, "n c"]]:
    """The logits of several models on the same batches."""
    logits: dict[str, list[np.ndarray]] = {name: [] for name in predictors}
    with track("verifying", total) as tracker:
        for pixels in batches:
            for name, predictor in predictors.items():
                logits[name].append(predictor(pixels))
            tracker.advance(len(pixels))
    return {name: np.concatenate(parts) for name, parts in logits.items()}


def check_agreement(
    kind: str,
    trained: Float32[np.ndarray, "n c"],
    exported: Float32[np.ndarray, "n c"],
    labels: np.ndarray | None,
) -> Agreement:
    """Compares logits.

    Args:
        kind: a key of `TOLERANCES`.
        trained: the trained model's.
        exported: the exported model's.
        labels: int64 [n], negative where there is none; None if there are none at all.

    Raises:
        VerificationError: a logit differs by more than allowed or is no number, or an image gets another class.
    """
    difference = np.abs(trained - exported)
    other = int((trained.argmax(1) != exported.argmax(1)).sum())
    largest = float(difference.max()) if np.isfinite(difference).all() else float("inf")
    if largest > TOLERANCES[kind] or other:
        raise VerificationError(
            f"the {kind} export does not compute what the trained model does: logits differ by up to {largest:.2g} "
            f"(allowed {TOLERANCES[kind]:.0e}) and "
            f"{other} of {len(trained)} images get another class; nothing was written"
        )
    if labels is None or (labels < 0).all():
        return Agreement(largest, other, None, None)
    right = [100 * float((logits.argmax(1) == labels)[labels >= 0].mean()) for logits in (exported, trained)]
    return Agreement(largest, other, *right)

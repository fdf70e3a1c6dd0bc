"""What a model says about an image set: logits and pooled features, in the order of the images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet
from gpt4image.models import FeatureTap
from gpt4image.progress import track


@dataclass(frozen=True)
class Outputs:
    """One row an image: `logits` [N, C] and the pooled `features` [N, F] that the classifier saw."""

    logits: Float32[np.ndarray, "n c"]
    features: Float32[np.ndarray, "n f"]


class EvaluationImages(Dataset[torch.Tensor]):
    """Images under timm's evaluation transform: float32 [C, H, W], resized, centre-cropped, normalised.

    Args:
        images: the images.
        data_config: timm's.
        change: done to the cropped picture before it becomes a tensor, such as a corruption.
    """

    def __init__(
        self,
        images: ImageSet,
        data_config: Mapping[str, Any],
        change: Callable[[Image.Image], Image.Image] | None = None,
    ) -> None:
        from timm.data import create_transform

        config = {**data_config, "input_size": tuple(data_config["input_size"])}
        self.images, self.transform = images, create_transform(**config, is_training=False)
        if change is not None:
            steps = self.transform.transforms
            tensor = next(place for place, step in enumerate(steps) if "ToTensor" in type(step).__name__)
            steps.insert(tensor, change)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(self.images.decode(index))


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
    batch_size: int = 128,
    workers: int = 0,
    device: str = "auto",
    label: str = "evaluating",
    change: Callable[[Image.Image], Image.Image] | None = None,
) -> Outputs:
    """Runs a classifier over readable images, with a progress bar.

    Args:
        model: takes float32 [B, C, H, W], returns logits [B, classes].
        images: all of them must be decodable (`scan_images` says which are).
        data_config: timm's: input_size, interpolation, mean, std, crop_pct.
        batch_size: images at a time.
        workers: processes that decode images.
        device: where to run, or `auto`.
        label: what the progress bar says.
        change: done to each cropped picture, such as a corruption.

    Raises:
        UnreadableImageError: an image cannot be decoded.
    """
    chosen = choose_device(device)
    model, tap = model.to(chosen).eval(), FeatureTap(model)
    loader = DataLoader(EvaluationImages(images, data_config, change), batch_size=batch_size, num_workers=workers)
    logits, features = [], []
    with track(label, len(images)) as tracker:
        for pixels in loader:
            logits.append(model(pixels.to(chosen)).float().cpu())
            features.append(tap.take().float().cpu())
            tracker.advance(len(pixels))
    tap.close()
    return Outputs(torch.cat(logits).numpy(), torch.cat(features).numpy())

"""Accuracy on images set aside from the training set, and which epoch was best on them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpt4image.files import atomic_path
from gpt4image.images import ImageSet
from gpt4image.pixels import load_batches
from gpt4image.runs import CHECKPOINT
from gpt4image.train.network import AlignedNetwork
from gpt4image.train.objectives.gather import sum_over_processes
from gpt4image.train.settings import TrainSettings


class Validator:
    """Measures top-1 accuracy; each process takes its share of the images.

    Args:
        settings: batch size and workers.
        images: all labelled.
        data_config: timm's.
        accelerator: device and processes.
    """

    def __init__(
        self, settings: TrainSettings, images: ImageSet, data_config: dict[str, Any], accelerator: Any
    ) -> None:
        share = np.arange(accelerator.process_index, len(images), accelerator.num_processes)
        self.num_images, self.device = len(images), accelerator.device
        self._images, self._labels = images.subset(share), torch.from_numpy(images.labels[share])
        size = max(1, settings.batch_size // accelerator.num_processes)
        self._load_batches = partial(load_batches, data_config=data_config, batch_size=size, workers=settings.workers)

    @torch.no_grad()
    def compute_top1(self, network: AlignedNetwork) -> float:
        """Percentage of images whose class has the largest logit."""
        network.eval()
        chosen = [network(pixels)[0].argmax(1).cpu() for pixels in self._load_batches(self._images, device=self.device)]
        right = (torch.cat(chosen) == self._labels).sum() if chosen else torch.tensor(0)
        return 100 * float(sum_over_processes(right.to(self.device))) / self.num_images


@dataclass
class BestEpoch:
    """The epoch with the highest validation accuracy, the first of equals; its weights are kept beside the checkpoint.

    A run that goes on from an earlier checkpoint computes the same epochs again and so finds the same best one.
    """

    epoch: int = 0
    top1: float = -1.0

    def see(self, epoch: int, top1: float) -> bool:
        """Notes an epoch; True if it is the best so far."""
        if top1 <= self.top1:
            return False
        self.epoch, self.top1 = epoch, top1
        return True

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps of it."""
        return {"epoch": self.epoch, "top1": self.top1}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Takes over what a checkpoint kept."""
        self.epoch, self.top1 = int(state["epoch"]), state["top1"]


def save_best(run: Path, network: AlignedNetwork) -> None:
    """Keeps the weights of the best epoch."""
    with atomic_path(_path(run)) as temporary:
        torch.save(network.state_dict(), temporary)


def load_best(run: Path, network: AlignedNetwork) -> None:
    """Puts the weights of the best epoch into the network."""
    network.load_state_dict(torch.load(_path(run), map_location="cpu", weights_only=True))


def _path(run: Path) -> Path:
    return (run / CHECKPOINT).with_name("best.pt")

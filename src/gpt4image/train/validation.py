"""Accuracy on images set aside from the training set, and the weights that were best on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpt4image.errors import RunError
from gpt4image.files import atomic_path
from gpt4image.images import ImageSet
from gpt4image.models.pixels import EvaluationBatches
from gpt4image.runs import CHECKPOINT, hash_digests
from gpt4image.train.objectives.gather import sum_over_processes
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.settings import TrainSettings
from gpt4image.train.setup import Setup


class Validation:
    """Images set aside, looked at epoch after epoch: few of them are decoded once, and workers live as long as this.

    Args:
        settings: of the run.
        images: all that are set aside; each process takes its share of them.
        digests: theirs.
        setup: the parts of the run.
    """

    def __init__(self, settings: TrainSettings, images: ImageSet, digests: Sequence[str], setup: Setup) -> None:
        accelerator = setup.accelerator
        own = np.arange(accelerator.process_index, len(images), accelerator.num_processes)
        share, size = images.subset(own), max(1, settings.batch_size // accelerator.num_processes)
        keep_as = hash_digests([digests[image] for image in own])
        self.batches = EvaluationBatches(
            share, setup.data_config, size, settings.workers, accelerator.device, keep_as=keep_as
        )
        self.setup, self.num_images = setup, len(images)
        self.labels = torch.from_numpy(share.labels).to(accelerator.device)

    @torch.no_grad()
    def compute_top1(self) -> float:
        """Percentage of labelled images whose class has the largest logit."""
        network = self.setup.final_network.eval()
        with self.setup.accelerator.autocast():
            # Nothing is read back before the last batch.
            chosen = [network(pixels)[0].argmax(1) for pixels in self.batches]
        right = (torch.cat(chosen) == self.labels).sum() if chosen else self.labels.sum()
        return 100 * float(sum_over_processes(right)) / self.num_images


class BestWeights:
    """The weights of the epoch with the highest validation accuracy, the first of equals, beside the checkpoint.

    A run that goes on from an earlier checkpoint computes the same epochs again and so finds the same best one.
    """

    def __init__(self, run: Path) -> None:
        self.path = (run / CHECKPOINT).with_name("best.pt")
        self.top1 = -1.0
        if self.path.exists():
            self.top1 = float(self._read()["top1"])

    def save_if_better(self, top1: float, network: AlignedNetwork) -> None:
        """Keeps the weights of an epoch if it is the best so far."""
        if top1 > self.top1:
            self.top1 = top1
            with atomic_path(self.path) as temporary:
                torch.save({"top1": top1, "network": network.state_dict()}, temporary)

    def load(self, network: AlignedNetwork) -> None:
        """Puts the weights of the best epoch into the network."""
        network.load_state_dict(self._read()["network"])

    def _read(self) -> dict[str, Any]:
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            return {name: saved[name] for name in ("top1", "network")}
        except Exception as error:  # Whatever PyTorch raises of a damaged file.
            # Without it the checkpoint alone would go on to another best epoch.
            raise RunError(
                f"{self.path} is damaged ({' '.join(str(error).split())[:200]}); delete {self.path.parent}, and the "
                "same command trains anew"
            ) from error

"""Batches of augmented images whose every random choice is a function of the seed and the position in training.

Nothing about randomness has to be saved: sample number p of a run is always the same image with the same crop,
however many worker processes or training processes there are and wherever the run was interrupted.
"""

import os
import random
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from gpt4image.images import ImageSet
from gpt4image.stopping import end_with, kill_with_parent
from gpt4image.train.data.crop import Reader


class SampleStream:
    """The endless order of samples: one shuffled pass over the pool after the other.

    With `repeats` above 1 each pass takes that many copies of an image in a row and, as DeiT's sampler does, still
    has as many samples as the pool: another random part of the pool each time (repeated augmentation, arXiv
    1902.05509). As the processes take turns, the copies are spread over them.

    Args:
        pool: int64 [P], positions of the images that can teach something.
        seed: of the order.
        repeats: copies of an image in a row.
    """

    def __init__(self, pool: np.ndarray, seed: int, repeats: int = 1) -> None:
        self.pool, self.seed, self.repeats = pool, seed, repeats
        self._pass_number, self._order = -1, pool

    def __getitem__(self, position: int) -> int:
        pass_number, place = divmod(position, len(self.pool))
        if pass_number != self._pass_number:
            rng = np.random.default_rng([self.seed, 4, pass_number])
            self._pass_number, self._order = pass_number, rng.permutation(self.pool)
        return int(self._order[place // self.repeats])


class BatchSampler(Sampler[list[tuple[int, int]]]):
    """Batches of one epoch as (position, image) pairs; process r of W takes every W-th sample of a global batch."""

    def __init__(
        self, stream: SampleStream, batch_size: int, num_steps: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.stream, self.batch_size, self.num_steps = stream, batch_size, num_steps
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def __len__(self) -> int:
        return self.num_steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first = self.epoch * self.num_steps
        for step in range(first, first + self.num_steps):
            start = step * self.batch_size
            samples = range(start + self.rank, start + self.batch_size, self.world_size)
            yield [(position, self.stream[position]) for position in samples]


class AugmentedImages(Dataset[tuple[Tensor, int]]):
    """Decodes and augments: item (position, image) is (pixels [3, H, W], image).

    Args:
        images: the image set.
        reader: reads an image.
        transform: what happens to it then.
        seed: of all that is random about it.
    """

    def __init__(self, images: ImageSet, reader: Reader, transform: Callable[[Image.Image], Tensor], seed: int) -> None:
        self.images, self.reader, self.transform, self.seed = images, reader, transform, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, sample: tuple[int, int]) -> tuple[Tensor, int]:
        position, index = sample
        seed_everything(self.seed, 5, position)
        return self.transform(self.reader.read(self.images, index)), index


def seed_everything(*numbers: int) -> None:
    """Seeds Python's, NumPy's and PyTorch's generators from a list of numbers.

    `torch.manual_seed` is avoided: without a GPU it records a stack trace a call for devices that never come.
    """
    state = np.random.SeedSequence(numbers).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002 timm's Mixup draws from the global generator
    torch.default_generator.manual_seed(int(state[2]))
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(int(state[2]))
    if torch.backends.mps.is_available() and get_worker_info() is None:
        torch.mps.manual_seed(int(state[2]))


def create_loader(
    dataset: AugmentedImages, sampler: BatchSampler, workers: int, device: torch.device
) -> DataLoader[tuple[Tensor, int]]:
    """A loader of batches for this device, whose workers live as long as it does."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
        worker_init_fn=partial(_prepare, os.getpid()) if workers else None,
    )


def _prepare(parent: int, worker: int) -> None:
    kill_with_parent()
    end_with(parent)
    torch.set_num_threads(1)

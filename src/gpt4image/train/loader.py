"""Batches of augmented images whose every random choice is a function of the seed and the position in training.

Nothing about randomness has to be saved: sample number p of a run is always the same image with the same crop,
however many worker processes or training processes there are and wherever the run was interrupted.
"""

import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from gpt4image.images import ImageSet


class SampleStream:
    """The endless order of samples: one shuffled pass over the pool after the other.

    Args:
        pool: int64 [P], positions of the images that can teach something.
        seed: of the order.
        repeats: copies of an image in a row (repeated augmentation, arXiv 1901.09335).
    """

    def __init__(self, pool: np.ndarray, seed: int, repeats: int = 1) -> None:
        self.pool, self.seed, self.repeats = pool, seed, repeats
        self._pass_number, self._order = -1, pool

    def __getitem__(self, position: int) -> int:
        pass_number, place = divmod(position, len(self.pool) * self.repeats)
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
    """Decodes and augments: item (position, image) is (pixels [3, H, W], image)."""

    def __init__(
        self,
        images: ImageSet,
        transform: Callable[[Image.Image], Tensor],
        draft_size: tuple[int, int] | None,
        seed: int,
        cache_bytes: int = 0,
    ) -> None:
        self.images, self.transform, self.draft_size, self.seed = images, transform, draft_size, seed
        self._cache: dict[int, Image.Image] | None = {} if cache_bytes else None
        self._room = cache_bytes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, sample: tuple[int, int]) -> tuple[Tensor, int]:
        position, index = sample
        image = self._decode(index)
        seed_everything(self.seed, 5, position)
        return self.transform(image), index

    def _decode(self, index: int) -> Image.Image:
        """Decoded images are kept while there is room: small sets are decoded once."""
        if self._cache is not None and index in self._cache:
            return self._cache[index]
        image = self.images.decode(index, draft_size=self.draft_size)
        size = image.width * image.height * 3
        if self._cache is not None and size <= self._room:
            self._cache[index] = image
            self._room -= size
        return image


def seed_everything(*numbers: int) -> None:
    """Seeds Python's, NumPy's and PyTorch's generators from a list of numbers."""
    state = np.random.SeedSequence(numbers).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002 timm's Mixup draws from the global generator
    torch.manual_seed(int(state[2]))


def create_loader(
    dataset: AugmentedImages, sampler: BatchSampler, workers: int, pin_memory: bool
) -> DataLoader[tuple[Tensor, int]]:
    """A loader whose workers live as long as it does."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=_use_one_thread if workers else None,
    )


def _use_one_thread(worker: int) -> None:
    torch.set_num_threads(1)

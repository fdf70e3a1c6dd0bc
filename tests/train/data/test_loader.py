from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from gpt4image.images import open_images
from gpt4image.models.pixels import normalize
from gpt4image.train.data.augment import create_augmentation
from gpt4image.train.data.crop import WholeReader
from gpt4image.train.data.loader import AugmentedImages, BatchSampler, SampleStream, create_loader, seed_everything
from gpt4image.train.settings import TrainSettings

POOL = np.array([2, 3, 5, 7, 11, 13, 17])


def test_every_pass_visits_the_whole_pool_in_another_order() -> None:
    stream = SampleStream(POOL, seed=0)
    passes = [[stream[p] for p in range(7 * n, 7 * n + 7)] for n in range(3)]
    assert all(sorted(visited) == POOL.tolist() for visited in passes)
    assert passes[0] != passes[1] != passes[2]


def test_a_sample_is_a_function_of_seed_and_position_alone() -> None:
    forwards, backwards = SampleStream(POOL, seed=4), SampleStream(POOL, seed=4)
    assert [forwards[p] for p in range(40)] == [backwards[p] for p in reversed(range(40))][::-1]
    assert [forwards[p] for p in range(40)] != [SampleStream(POOL, seed=5)[p] for p in range(40)]


def test_repeated_augmentation_is_that_of_deits_sampler() -> None:
    """Three copies in a row, of another random third of the pool in each pass."""
    stream = SampleStream(POOL, seed=0, repeats=3)
    passes = [[stream[p] for p in range(7 * n, 7 * n + 7)] for n in range(200)]
    assert all(one[0] == one[1] == one[2] != one[3] == one[4] == one[5] != one[6] for one in passes)
    visited = Counter(image for one in passes for image in one)
    assert sorted(visited) == POOL.tolist()
    assert max(visited.values()) < 1.6 * min(visited.values())


def test_copies_are_spread_over_processes() -> None:
    stream = SampleStream(POOL, seed=0, repeats=3)
    shares = [next(iter(BatchSampler(stream, 6, 1, rank, 3))) for rank in range(3)]
    assert len({tuple(image for _, image in share) for share in shares}) == 1


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_each_global_batch(world_size: int) -> None:
    stream = SampleStream(POOL, seed=0)
    whole = BatchSampler(stream, batch_size=8, num_steps=3)
    shares = [BatchSampler(stream, 8, 3, rank, world_size) for rank in range(world_size)]
    for sampler in (whole, *shares):
        sampler.epoch = 2
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(sample for part in parts for sample in part) == sorted(batch)
        assert {len(part) for part in parts} == {8 // world_size}
    assert [position for batch in whole for position, _ in batch] == list(range(48, 72))


def test_epochs_follow_each_other_without_a_gap() -> None:
    sampler = BatchSampler(SampleStream(POOL, seed=0), batch_size=3, num_steps=2)
    visited: Counter[int] = Counter()
    for epoch in range(7):
        sampler.epoch = epoch
        visited.update(image for batch in sampler for _, image in batch)
    assert visited == dict.fromkeys(POOL.tolist(), 6)


def load(photos: Path, workers: int, room_bytes: int = 0) -> torch.Tensor:
    transform = v2.Compose([v2.RandomResizedCrop(16), v2.RandomHorizontalFlip(), v2.ToImage(), v2.ToDtype(torch.float)])
    images = open_images(str(photos))
    dataset = AugmentedImages(images, WholeReader(None, room_bytes), transform, seed=3)
    sampler = BatchSampler(SampleStream(np.arange(len(images)), seed=3), 4, num_steps=6)
    return torch.stack([pixels for pixels, _ in create_loader(dataset, sampler, workers, torch.device("cpu"))])


def test_pixels_do_not_depend_on_workers_or_on_what_is_kept(make_photos: Callable[..., Path]) -> None:
    photos = make_photos(5)
    alone = load(photos, workers=0)
    assert torch.equal(alone, load(photos, workers=2))
    assert torch.equal(alone, load(photos, workers=0, room_bytes=1 << 20))
    assert torch.equal(alone, load(photos, workers=0, room_bytes=5000))


def test_bytes_are_normalized_as_timm_does(make_photos: Callable[..., Path]) -> None:
    """Bytes through `normalize`, and the numbers that timm's own transforms end with."""
    images = open_images(str(make_photos(2)))
    config = {"input_size": (3, 16, 16), "interpolation": "bicubic", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.1)}
    pixels = []
    for erasing in (0.0, 1e-9):
        settings = TrainSettings("unused", Path("unused"), random_erasing=erasing)
        dataset = AugmentedImages(images, *create_augmentation(settings, images, config), seed=3)
        pixels.append(torch.stack([dataset[position, position % 2][0] for position in range(8)]))
    assert [batch.dtype for batch in pixels] == [torch.uint8, torch.float]
    torch.testing.assert_close(normalize(pixels[0], config), normalize(pixels[1], config), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_the_generator_of_an_accelerator_is_seeded_as_well(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout and drop path draw from it."""
    seeds: list[int] = []
    if device == "cuda":
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    else:
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
        monkeypatch.setattr(torch.mps, "manual_seed", seeds.append)
    for step in (1, 2, 1):
        seed_everything(0, 9, step)
    assert seeds[0] == seeds[2] != seeds[1]


def test_loader_processes_live_on_and_memory_is_pinned_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr("gpt4image.train.data.loader.DataLoader", lambda dataset, **how: seen.update(how))
    for device, workers in (("cuda", 2), ("cpu", 0)):
        create_loader([], [], workers, torch.device(device))  # type: ignore[arg-type]
        assert (seen["pin_memory"], seen["persistent_workers"]) == (device == "cuda", workers > 0)

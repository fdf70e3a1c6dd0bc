"""How fast are images read? Ours against timm's create_loader: same photos, same crops, same workers.

    python benchmarks/loader.py [--photos 96] [--workers 1] [--rounds 5]

JPEG photos of 1,200 pixels are generated, RandomResizedCrop to 224 with flip and normalisation. The two loaders take
turns in one run; the figure is the ratio of images/s, the median over rounds.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter


def make_photos(folder: Path, count: int) -> None:
    """Images with structure at all scales, as large in bytes as photos of that size are (about 200 KB)."""
    rng = np.random.default_rng(0)
    (folder / "class").mkdir(parents=True)
    for number in range(count):
        layers = np.zeros((900, 1200, 3))
        for side in (4, 16, 64, 256):
            coarse = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
            layers += np.asarray(coarse.resize((1200, 900), Image.Resampling.BICUBIC), dtype=float) / 4
        image = Image.fromarray(layers.astype(np.uint8)).filter(ImageFilter.SHARPEN)
        image.save(folder / "class" / f"{number:04d}.jpg", quality=90)


def create_timm_loader(folder: Path, batch_size: int, workers: int):
    from timm.data import create_dataset, create_loader

    dataset = create_dataset("folder", root=str(folder), is_training=True)
    return create_loader(
        dataset,
        (3, 224, 224),
        batch_size,
        is_training=True,
        use_prefetcher=False,
        no_aug=False,
        scale=(0.08, 1.0),
        color_jitter=0.0,
        interpolation="bicubic",
        num_workers=workers,
        persistent_workers=workers > 0,
        device=torch.device("cpu"),
    )


def create_own_loader(folder: Path, batch_size: int, workers: int):
    from gpt4image.images import open_images
    from gpt4image.train import TrainSettings
    from gpt4image.train.data.augment import create_augmentation
    from gpt4image.train.data.loader import AugmentedImages, BatchSampler, SampleStream, create_loader

    images = open_images(str(folder))
    settings = TrainSettings(str(folder), Path("unused"), min_scale=0.08, input_size=224)
    config = {
        "input_size": (3, 224, 224),
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    # As for a set that is too large to be kept in memory.
    import gpt4image.train.data.augment as augment

    augment.KEPT_BYTES = 0
    reader, transform = create_augmentation(settings, images, config)
    sampler = BatchSampler(SampleStream(np.arange(len(images)), 0), batch_size, len(images) // batch_size)
    return create_loader(AugmentedImages(images, reader, transform, 0), sampler, workers, torch.device("cpu"))


def measure(loader) -> float:
    """Images/s of one pass, its first batch left out."""
    iterator = iter(loader)
    next(iterator)
    start_s, count = time.perf_counter(), 0
    for pixels, _ in iterator:
        count += len(pixels)
    return count / (time.perf_counter() - start_s)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        make_photos(Path(name), arguments.photos)
        size_kb = statistics.mean(path.stat().st_size for path in Path(name).rglob("*.jpg")) / 1000
        loaders = {
            "timm": create_timm_loader(Path(name), arguments.batch_size, arguments.workers),
            "gpt4image": create_own_loader(Path(name), arguments.batch_size, arguments.workers),
        }
        speeds: dict[str, list[float]] = {name: [] for name in loaders}
        for _ in range(arguments.rounds):
            for name, loader in loaders.items():
                speeds[name].append(measure(loader))
    ratios = [own / timm for own, timm in zip(speeds["gpt4image"], speeds["timm"], strict=True)]
    print(f"{arguments.photos} JPEGs of 1,200 x 900 pixels, {size_kb:.0f} KB each, {arguments.workers} workers")
    for name, values in speeds.items():
        print(f"{name}: {statistics.median(values):.1f} images/s (rounds: {', '.join(f'{v:.1f}' for v in values)})")
    print(f"ratio: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

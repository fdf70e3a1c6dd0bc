"""What do frozen features cost against timm's own forward passes, and a comparison on them?

    python benchmarks/freeze.py [--images FOLDER] [--size 160] [--count 2319] [--recipe FILE]

Features: photos from the files to vectors on disk (decoded, resized, one forward pass, kept; hashed before) against
timm's forward passes of the same pixels, which are ready in memory; EfficientNet-Lite0, one thread, batches of 16 (at
160 px), both in blocks in turns, processor time. JPEGs of 192 px are generated where no folder is given. timm's model
is timed as timm makes it and, apart, in the memory layout that we put it in.

Comparison (with --recipe, such as recipes/clothing_frozen.yaml): one seed and then one more, each of four situations
with five arms; the second seed's processor time is what each further one takes.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image

from gpt4image import progress
from gpt4image.compare import CompareSettings, compare
from gpt4image.images import ImageSet, open_images, scan_images
from gpt4image.models.frozen import find_frozen
from gpt4image.models.image_features import load_image_features
from gpt4image.models.pixels import EvaluationBatches
from gpt4image.models.predict import count_at_once

MODEL = "tf_efficientnet_lite0"
BLOCK = 256
SITUATIONS = ("clean labels", "40 % wrong labels", "10 labels a class", "3 labels a class")
ARMS = ("aligned", "picks", "self_training", "true")
SEEDS, CORES = 20, 2


def make_photos(folder: Path, count: int) -> None:
    """JPEGs with structure at two scales."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse, fine = (
            np.asarray(Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((192, 144)))
            for side in (6, 48)
        )
        Image.fromarray(coarse // 2 + fine // 2).save(folder / f"{number:05d}.jpg", quality=88)


def measure_features(images: ImageSet, size: int) -> dict[str, list[float]]:
    """Processor seconds of each block, by way."""
    backbone = find_frozen(MODEL, size)
    plain, turned = (timm.create_model(MODEL, num_classes=2).eval() for _ in range(2))
    turned.to(memory_format=torch.channels_last)
    seconds: dict[str, list[float]] = {"ours": [], "timm": [], "timm, channels last": []}
    # The first block is done twice: once to warm up.
    for start in (0, *range(0, len(images), BLOCK)):
        part = images.subset(np.arange(start, min(start + BLOCK, len(images))))
        with tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            digests = scan_images(part).digests
            times = [time.process_time()]
            load_image_features(part, digests, backbone, "cpu")
            times.append(time.process_time())
        at_once = count_at_once(torch.device("cpu"), backbone.data_config)
        pixels = torch.cat(list(EvaluationBatches(part, backbone.data_config, at_once)))
        for model, layout in ((plain, torch.contiguous_format), (turned, torch.channels_last)):
            batches = pixels.contiguous(memory_format=layout).split(at_once)
            times.append(time.process_time())
            with torch.inference_mode():
                for batch in batches:
                    model(batch)
            times.append(time.process_time())
        for way, first in zip(seconds, (0, 2, 4), strict=True):
            seconds[way].append(times[first + 1] - times[first])
    return {way: all_blocks[1:] for way, all_blocks in seconds.items()}


def show_features(images: ImageSet, size: int) -> None:
    """Prints rates and ratios."""
    seconds = measure_features(images, size)
    own = seconds.pop("ours")
    print(f"features: {len(images) / sum(own):.0f} images a second of processor time")
    for way, blocks in seconds.items():
        ratios = [block / ours for block, ours in zip(blocks, own, strict=True)]
        rate, ratio = len(images) / sum(blocks), sum(blocks) / sum(own)
        spread = f"blocks from {min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{way}: {rate:.0f} forward passes a second; features {ratio:.2f} times as many ({spread})")


def show_comparison(recipe: Path) -> None:
    """Prints what a seed takes, and what 20 would."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for seeds in (1, 2):
            start = time.process_time()
            how = {"situations": SITUATIONS, "arms": ARMS, "jobs": 1, "device": "cpu"}
            compare(CompareSettings(recipe, Path(folder), seeds, **how))
            seconds.append(time.process_time() - start)
    first, more = seconds
    whole = (first - more + SEEDS * more / CORES) / 60
    print(f"a seed of {len(SITUATIONS)} situations and {len(ARMS) + 1} arms: {more:.0f} s of processor time", end="; ")
    print(f"{SEEDS} seeds on {CORES} idle cores would take {whole:.1f} minutes, the first one's beginnings included")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--count", type=int, default=2319)
    parser.add_argument("--recipe", type=Path)
    arguments = parser.parse_args()
    progress.silence()
    torch.set_num_threads(1)
    # The comparison's features are those that the user has, or are made before it is timed.
    if arguments.recipe:
        show_comparison(arguments.recipe)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.images is None:
            make_photos(Path(folder), arguments.count)
        images = open_images(arguments.images or folder)
        show_features(images.subset(np.arange(min(arguments.count, len(images)))), arguments.size)


if __name__ == "__main__":
    main()

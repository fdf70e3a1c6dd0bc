"""How fast are images evaluated, against timm's transform for each image and its own memory layout?

    python benchmarks/evaluate.py [--images fashion-mnist:test] [--rounds 5] [--batch-size N]

The first 2,000 images through an untrained ResNet-10-T at 32 px, in one process. Both ways take turns, and processor
time is compared, so that other work on the machine cancels.
"""

import argparse
import statistics
import time

import numpy as np
import timm
import torch
from timm.data import create_transform

from gpt4image import progress
from gpt4image.images import ImageSet, open_images
from gpt4image.models.predict import predict

CONFIG = {
    "input_size": (3, 32, 32),
    "interpolation": "bicubic",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "crop_pct": 0.95,
}


@torch.inference_mode()
def predict_plainly(model: torch.nn.Module, images: ImageSet) -> np.ndarray:
    transform = create_transform(**CONFIG, is_training=False)
    places = range(0, len(images), 128)
    batches = ([transform(images.decode(i)) for i in range(start, min(start + 128, len(images)))] for start in places)
    return torch.cat([model(torch.stack(batch)) for batch in batches]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="fashion-mnist:test")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, help="of ours; what suits the processor if not given")
    arguments = parser.parse_args()
    progress.silence()
    images = open_images(arguments.images)
    images = images.subset(np.arange(min(2000, len(images))))
    plain, ours = (timm.create_model("resnet10t", num_classes=10).eval() for _ in range(2))
    ours.load_state_dict(plain.state_dict())
    seconds: dict[str, list[float]] = {"plainly": [], "predict": []}
    for _ in range(arguments.rounds + 1):  # The first round warms up.
        start = time.process_time()
        expected = predict_plainly(plain, images)
        middle = time.process_time()
        logits = predict(ours, images, CONFIG, batch_size=arguments.batch_size, device="cpu").logits
        seconds["plainly"].append(middle - start)
        seconds["predict"].append(time.process_time() - middle)
    ratios = [a / b for a, b in zip(seconds["plainly"][1:], seconds["predict"][1:], strict=True)]
    rate = len(images) / statistics.median(seconds["predict"][1:])
    print(f"{rate:.0f} images a second of processor time, {statistics.median(ratios):.2f} times as many", end=" ")
    print(f"(rounds from {min(ratios):.2f} to {max(ratios):.2f})")
    print(f"largest difference of a logit: {np.abs(logits - expected).max():.1e}")


if __name__ == "__main__":
    main()

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform

from gpt4image.images import open_images
from gpt4image.models.pixels import EvaluationBatches

CONFIG = {
    "input_size": (3, 24, 24),
    "interpolation": "bicubic",
    "mean": (0.4, 0.5, 0.6),
    "std": (0.2, 0.3, 0.1),
    "crop_pct": 0.9,
}


def test_batches_are_what_timm_evaluates_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 30, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    images = open_images(str(tmp_path / "photos"))
    transform = create_transform(**CONFIG, is_training=False)
    expected = torch.stack([transform(images.decode(position)) for position in range(len(images))])
    batches = list(EvaluationBatches(images, CONFIG, batch_size=4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert batches[0].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(torch.cat(batches), expected, atol=1e-5, rtol=1e-5)

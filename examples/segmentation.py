"""An exported model as the backbone of something else: a small segmentation head on its `features_only` pyramid.

python examples/segmentation.py EXPORT

Trains on generated pictures (find the bright disc), so that it runs anywhere in a minute. A detector takes the same
pyramid: `backbone.feature_info` gives the channels and strides that its neck asks for.
"""

import sys

import timm
import torch
from torch import nn
from torch.nn import functional


class SegmentationModel(nn.Module):
    """Sums the pyramid's levels at the finest one's size; logits [B, 1, H, W]."""

    def __init__(self, export: str, width: int = 32) -> None:
        super().__init__()
        self.backbone = timm.create_model(f"local-dir:{export}", pretrained=True, features_only=True)
        self.laterals = nn.ModuleList(nn.Conv2d(num, width, 1) for num in self.backbone.feature_info.channels())
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        levels = [lateral(level) for lateral, level in zip(self.laterals, self.backbone(pixels), strict=True)]
        size = levels[0].shape[-2:]
        total = sum(functional.interpolate(level, size, mode="bilinear") for level in levels)
        return functional.interpolate(self.head(total), pixels.shape[-2:], mode="bilinear")


def make_batch(size: int, count: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a brighter disc somewhere, and its mask [count, 1, size, size]."""
    centre = size * (0.25 + 0.5 * torch.rand(count, 2, 1, 1))
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    mask = ((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 < (size / 6) ** 2).float()[:, None]
    return torch.randn(count, 3, size, size) + 1.5 * mask, mask


def measure_overlap(model: nn.Module, size: int) -> float:
    """Intersection over union on a fresh batch."""
    pixels, mask = make_batch(size)
    with torch.inference_mode():
        found = model.eval()(pixels) > 0
    return float((found & mask.bool()).sum() / (found | mask.bool()).sum())


def train(export: str, steps: int = 40, size: int = 48) -> float:
    """Trains head and backbone together; returns the overlap reached."""
    torch.manual_seed(0)
    model = SegmentationModel(export)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    print(f"before: overlap {measure_overlap(model, size):.2f}")
    for step in range(1, steps + 1):
        pixels, mask = make_batch(size)
        loss = functional.binary_cross_entropy_with_logits(model.train()(pixels), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step}: loss {loss:.3f}")
    overlap = measure_overlap(model, size)
    print(f"after: overlap {overlap:.2f}")
    return overlap


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    train(sys.argv[1])

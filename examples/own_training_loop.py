"""Texts in a plain PyTorch loop: the table of text embeddings, a projector and a loss, nothing else of gpt4image.

python examples/own_training_loop.py PHOTOS WORK [EPOCHS]

PHOTOS has one sub-folder a class; WORK is what `gpt4image describe PHOTOS WORK` and `gpt4image embed WORK` wrote.
"""

import sys
from pathlib import Path

import timm
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from gpt4image.drop_in import AlignedNetwork, AlignmentLoss, DescriptionTable, Projector


class KeyedImages(ImageFolder):
    """An ImageFolder that also gives each image's key: its path below the folder."""

    def __getitem__(self, index):
        pixels, label = super().__getitem__(index)
        return pixels, label, Path(self.samples[index][0]).relative_to(self.root).as_posix()


def train(photos: str, work: str, epochs: int = 10, size: int = 64) -> torch.nn.Module:
    torch.manual_seed(0)
    augment = [transforms.RandomResizedCrop(size, (0.35, 1)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    images = KeyedImages(photos, transforms.Compose(augment))
    loader = DataLoader(images, batch_size=32, shuffle=True)

    model = timm.create_model("resnet10t", num_classes=len(images.classes))
    table = DescriptionTable(work)
    network = AlignedNetwork(model, Projector(model.num_features, table.dimension))
    align = AlignmentLoss(objective="clip", weight=0.3, temperature=0.2)

    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    for epoch in range(1, epochs + 1):
        for pixels, labels, keys in loader:
            logits, projected = network(pixels)
            label_loss, text_loss = cross_entropy(logits, labels), align(projected, table.gather(keys))
            optimizer.zero_grad()
            (label_loss + text_loss).backward()
            optimizer.step()
        print(f"epoch {epoch}: label loss {label_loss:.3f}, text loss {text_loss:.3f}")
    return model


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    model = train(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
    torch.save(model.state_dict(), "model.pt")  # the plain model: no projector, no text
    print("wrote model.pt")

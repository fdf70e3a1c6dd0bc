"""Texts in the Hugging Face Trainer: the data set hands on text embeddings, the model adds the alignment to its loss.

python examples/hugging_face_trainer.py PHOTOS WORK OUT [EPOCHS]

PHOTOS has one sub-folder a class; WORK is what `gpt4image describe PHOTOS WORK` and `gpt4image embed WORK` wrote.
OUT becomes an ordinary Hugging Face model.
"""

import sys
from pathlib import Path

import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder
from transformers import ResNetConfig, ResNetForImageClassification, Trainer, TrainingArguments

from gpt4image.drop_in import AlignedNetwork, AlignmentLoss, DescriptionTable, Projector


class DescribedImages(ImageFolder):
    """What the Trainer collates: pixels, label, and the text embedding of the image (zero if it has none)."""

    def __init__(self, root: str, table: DescriptionTable, size: int = 64) -> None:
        super().__init__(root, transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()]))
        self.table = table

    def __getitem__(self, index):
        pixels, label = super().__getitem__(index)
        key = Path(self.samples[index][0]).relative_to(self.root).as_posix()
        return {"pixel_values": pixels, "labels": label, "text": self.table[key]}


class LogitsOnly(torch.nn.Module):
    """A Hugging Face classifier as `AlignedNetwork` expects one: from pixels to logits."""

    def __init__(self, classifier: torch.nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels):
        return self.classifier(pixel_values=pixels).logits


class DescribedClassifier(torch.nn.Module):
    """Any Hugging Face image classifier with the alignment beside it; without `text` it is the plain model."""

    def __init__(self, classifier: torch.nn.Module, num_features: int, dimension: int) -> None:
        super().__init__()
        self.network = AlignedNetwork(LogitsOnly(classifier), Projector(num_features, dimension))
        self.align = AlignmentLoss(objective="clip", weight=0.3, temperature=0.2)

    def forward(self, pixel_values, labels=None, text=None):
        logits, projected = self.network(pixel_values)
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        if text is not None and self.training:
            loss = loss + self.align(projected, text)
        return {"loss": loss, "logits": logits}


def train(photos: str, work: str, out: str, epochs: int = 10) -> Trainer:
    table = DescriptionTable(work)
    images = DescribedImages(photos, table)
    labels = dict(enumerate(images.classes))
    config = ResNetConfig(hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1], layer_type="basic", id2label=labels)
    classifier = ResNetForImageClassification(config)
    arguments = TrainingArguments(
        out,
        num_train_epochs=epochs,
        per_device_train_batch_size=32,
        learning_rate=2e-3,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,  # `text` is used by the wrapper, which the Trainer cannot see
        disable_tqdm=True,
        seed=0,
    )
    model = DescribedClassifier(classifier, config.hidden_sizes[-1], table.dimension)
    trainer = Trainer(model, arguments, train_dataset=images)
    trainer.train()
    classifier.save_pretrained(out)  # the plain model: no projector, no text
    return trainer


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    train(*sys.argv[1:4], *map(int, sys.argv[4:]))
    print(f"wrote {sys.argv[3]}")

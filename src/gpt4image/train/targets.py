"""What each image is taught: class probabilities and a text embedding, gathered by image and mixed with pixels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gpt4image.embed.table import EmbeddingTable, TextIndex
from gpt4image.images import UNLABELLED
from gpt4image.train.gather import gather_rows

MEAN_SAMPLE = 65_536
"""Rows from which the mean of a large table is estimated."""


@dataclass
class Targets:
    """Targets of one batch.

    Attributes:
        classes: class probabilities; all zero where an image has no label.
        text: text embeddings; zero where `has_text` is False.
        has_text: whether the image has a description.
        images: position of each image in the image set; equal ones are copies.
    """

    classes: Float[Tensor, "B C"]
    text: Float[Tensor, "B D"] | None
    has_text: Bool[Tensor, "B"] | None
    images: Int[Tensor, "B"]

    def mix(self, weights: Float[Tensor, "B B"]) -> "Targets":
        """Mixes targets as pixels were mixed: row i becomes the average over rows j with `weights[i, j]`.

        Text is averaged over those rows that have one; they must make up half of the image at least.
        """
        classes = weights @ self.classes
        if self.text is None or self.has_text is None:
            return Targets(classes, None, None, self.images)
        share = weights @ self.has_text.to(weights.dtype)
        text = (weights @ self.text) / share.clamp_min(1e-6)[:, None]
        return Targets(classes, text, share >= 0.5, self.images)

    def described(self) -> "Targets":
        """Only the rows that have a text."""
        assert self.text is not None
        assert self.has_text is not None
        keep = self.has_text
        return Targets(self.classes[keep], self.text[keep], keep[keep], self.images[keep])

    def gather(self) -> "Targets":
        """The rows of all processes; all of them described."""
        assert self.text is not None
        assert self.has_text is not None
        parts = (self.classes, self.text, self.has_text, self.images)
        return Targets(*map(gather_rows, parts))


class TextEmbeddings:
    """Text embeddings by image, gathered from the memory map; the mean of an image's texts if it has several.

    Args:
        table: the table.
        index: rows of each image.
        centre: subtract the mean over the table (TextTeacher, arXiv 2605.22098, section 3).
    """

    def __init__(self, table: EmbeddingTable, index: TextIndex, centre: bool) -> None:
        self._vectors, self._index = table.vectors, index
        self.dimension = int(table.vectors.shape[1])
        self.mean = self._compute_mean() if centre else np.zeros(self.dimension, dtype=np.float32)

    def _compute_mean(self) -> np.ndarray:
        rows = self._index.rows
        step = max(1, len(rows) // MEAN_SAMPLE)
        return self._vectors[np.sort(rows[::step])].astype(np.float32).mean(0)

    def has_text(self) -> np.ndarray:
        """bool [N], whether each image has a description."""
        return self._index.count > 0

    def gather(self, images: Int[np.ndarray, "B"]) -> Float[np.ndarray, "B D"]:
        """Embeddings of some images; zero for those without description."""
        count = self._index.count[images]
        result = np.zeros((len(images), self.dimension), dtype=np.float32)
        has = np.flatnonzero(count)
        rows = self._index.rows[self._index.start[images[has]]]
        result[has] = self._vectors[rows]
        for place in np.flatnonzero(count > 1):
            result[place] = self._vectors[self._index.of(int(images[place]))].astype(np.float32).mean(0)
        result[has] -= self.mean
        return result


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Class probabilities [N, C] of labels [N]; rows of `UNLABELLED` are zero."""
    probabilities = np.zeros((len(labels), num_classes), dtype=np.float32)
    labelled = np.flatnonzero(labels != UNLABELLED)
    probabilities[labelled, labels[labelled]] = 1
    return probabilities


class TargetSource:
    """Gathers the targets of a batch in the main process: nothing of it travels through worker queues.

    Args:
        classes: float32 [N, C] class probabilities; zero rows for unlabelled images.
        text: text embeddings, or None.
        device: where the targets are needed.
    """

    def __init__(self, classes: np.ndarray, text: TextEmbeddings | None, device: torch.device) -> None:
        self.classes, self.text, self.device = classes, text, device

    def gather(self, images: Tensor) -> Targets:
        """Targets of the images (int64 [B])."""
        indices = images.numpy()
        classes = torch.from_numpy(self.classes[indices]).to(self.device, non_blocking=True)
        ids = images.to(self.device, non_blocking=True)
        if self.text is None:
            return Targets(classes, None, None, ids)
        text = torch.from_numpy(self.text.gather(indices)).to(self.device, non_blocking=True)
        has_text = torch.from_numpy(self.text.has_text()[indices]).to(self.device, non_blocking=True)
        return Targets(classes, text, has_text, ids)

"""What each image is taught: class probabilities and a text embedding, gathered by image and mixed with pixels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.images import UNLABELLED
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.targets.labels import LearntLabels, smooth
from gpt4image.train.targets.tokens import TokenTargets


@dataclass
class Targets:
    """Targets of one batch.

    Attributes:
        classes: class probabilities; all zero where an image has no label.
        text: text embeddings; zero where `has_text` is False, of width 0 where no text is learnt.
        has_text: whether the image has a description.
        shown: which images the rows show.
    """

    classes: Float[Tensor, "B C"]
    text: Float[Tensor, "B D"]
    has_text: Bool[Tensor, "B"]
    shown: Shown

    def mix(self, weights: Float[Tensor, "B B"], text_too: bool = True) -> "Targets":
        """Mixes targets as pixels were mixed: row i becomes the average over rows j with `weights[i, j]`.

        Text is averaged over those rows that have one; they must make up half of the image at least. The official
        code leaves the text as it is (`text_too=False`): half of the time it belongs to the smaller part.
        """
        classes, shown = weights @ self.classes, self.shown.mix(weights)
        if not text_too:
            return Targets(classes, self.text, self.has_text, shown)
        share = weights @ self.has_text.to(weights.dtype)
        text = (weights @ self.text) / share.clamp_min(1e-6)[:, None]
        return Targets(classes, text, share >= 0.5, shown)


TextTargets = TextEmbeddings | TokenTargets
"""What images are taught about their texts: embeddings, or the words themselves."""


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Class probabilities [N, C] of labels [N]; rows of `UNLABELLED` are zero."""
    probabilities = np.zeros((len(labels), num_classes), dtype=np.float32)
    labelled = np.flatnonzero(labels != UNLABELLED)
    probabilities[labelled, labels[labelled]] = 1
    return probabilities


class LabelTargets:
    """Class probabilities made of labels when they are asked for: of all of ImageNet at once they would take 5 GB.

    Args:
        labels: int64 [N].
        num_classes: C.
        smoothing: share of the probability that is spread over all classes.
    """

    def __init__(self, labels: np.ndarray, num_classes: int, smoothing: float = 0.0) -> None:
        self.labels, self.num_classes, self.smoothing = labels, num_classes, smoothing

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, images: np.ndarray) -> np.ndarray:
        """float32 [B, C] of some images; zero rows for those without a label."""
        return smooth(one_hot(self.labels[images], self.num_classes), self.smoothing)

    @property
    def most_probable(self) -> np.ndarray:
        """int64 [N], -1 for images that teach no class."""
        return self.labels


class BalancedTargets:
    """Targets of which every class teaches as much as every other: rows are multiplied by a weight a class.

    Args:
        targets: class probabilities.
        weights: float32 [C].
    """

    def __init__(self, targets: LabelTargets | LearntLabels | np.ndarray, weights: np.ndarray) -> None:
        self.targets, self.weights = targets, weights

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, images: np.ndarray) -> np.ndarray:
        """float32 [B, C] of some images."""
        return self.targets[images] * self.weights

    @property
    def most_probable(self) -> np.ndarray:
        """int64 [N], -1 for images that teach no class."""
        return find_most_probable(self.targets)


ClassTargets = LabelTargets | LearntLabels | BalancedTargets | np.ndarray
"""Class probabilities of each image: item [images] is float32 [B, C], zero rows for images that teach no class."""


def find_taught(classes: ClassTargets) -> np.ndarray:
    """bool [N], which images teach a class."""
    return find_most_probable(classes) != UNLABELLED


def find_most_probable(classes: ClassTargets) -> np.ndarray:
    """int64 [N], the class that each image teaches most, -1 for images that teach none."""
    if isinstance(classes, np.ndarray):
        return np.where(classes.sum(1) > 0, classes.argmax(1), UNLABELLED)
    return classes.most_probable


def balance(targets: LabelTargets | LearntLabels | np.ndarray) -> BalancedTargets:
    """Weighs classes by the inverse of how many images teach them; the sum over all images stays."""
    counts = _count_taught(targets)
    weights = counts.sum() / (max((counts > 0).sum(), 1) * np.maximum(counts, 1))
    return BalancedTargets(targets, weights.astype(np.float32))


def find_log_prior(targets: ClassTargets) -> np.ndarray:
    """float32 [C], log of the share of images that teach each class; a class that none teaches counts as one image."""
    counts = np.maximum(_count_taught(targets), 1)
    return np.log(counts / counts.sum()).astype(np.float32)


def _count_taught(targets: ClassTargets) -> np.ndarray:
    taught = find_most_probable(targets)
    return np.bincount(taught[taught != UNLABELLED], minlength=targets[np.arange(1)].shape[1])


def repeat_rare(pool: np.ndarray, classes: np.ndarray, seed: int) -> np.ndarray:
    """A pool in which each class stands as often as the most frequent one; images of no class once.

    Args:
        pool: int64 [P], positions of images.
        classes: int64 [N], of all images, -1 for none.
        seed: of which images of a class stand once more than others.
    """
    own = classes[pool]
    most = np.bincount(own[own != UNLABELLED]).max(initial=0)
    rng = np.random.default_rng([seed, 16])
    parts = [pool[own == UNLABELLED]]
    for label in np.unique(own[own != UNLABELLED]):
        parts.append(np.resize(rng.permutation(pool[own == label]), most))
    return np.concatenate(parts)


class TargetSource:
    """Gathers the targets of a batch in the main process: nothing of it travels through worker queues.

    Args:
        classes: of all images.
        text: what is to be learnt of the texts, or None.
        device: where the targets are needed.
    """

    def __init__(self, classes: ClassTargets, text: TextTargets | None, device: torch.device) -> None:
        self.classes, self.text, self.device = classes, text, device
        self._has_text = None if text is None else text.has_text()

    def gather(self, images: Tensor) -> Targets:
        """Targets of the images (int64 [B])."""
        indices = images.numpy()
        found, has = np.zeros((len(indices), 0), dtype=np.float32), np.zeros(len(indices), dtype=bool)
        if self.text is not None and self._has_text is not None:
            found, has = self.text.gather(indices), self._has_text[indices]
        arrays = (self.classes[indices], found, has, indices)
        classes, text, has_text, images = (to_device(torch.from_numpy(array), self.device) for array in arrays)
        return Targets(classes, text, has_text, Shown.whole(images, classes))


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor there, copied beside the computation: out of pinned memory where the device is a GPU.

    What comes from another device is waited for: it may be read on the processor at once.
    """
    if tensor.device.type != "cpu":
        return tensor.to(device)
    tensor = tensor.pin_memory() if device.type == "cuda" else tensor
    return tensor.to(device, non_blocking=True)

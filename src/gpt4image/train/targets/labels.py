"""What is learnt of weighed labels: all of them, or, to compare, the given ones, the picks, or the image set's own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import LabelError
from gpt4image.images import UNLABELLED, ImageSet
from gpt4image.label.artifact import LabelTable
from gpt4image.label.witnesses.prompts import choose_prompts


@dataclass(frozen=True)
class LearntLabels:
    """Class probabilities of N images, few of them a row.

    Attributes:
        class_names: of all C classes.
        classes: int64 [N, K].
        probabilities: float32 [N, K], of these classes; zero rows for images that teach no class.
        facts: where they come from, for the run's manifest.
        told: float32 [N, K], what the picks alone say of the same classes; zero rows where there are none.
        distillation: share of that in what is learnt.
        smoothing: share of the probability that is spread over all classes when they are asked for.
    """

    class_names: tuple[str, ...]
    classes: np.ndarray
    probabilities: np.ndarray
    facts: dict[str, Any]
    told: np.ndarray | None = None
    distillation: float = 0.0
    smoothing: float = 0.0

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def most_probable(self) -> np.ndarray:
        """int64 [N], by the labels alone, -1 for images that teach no class."""
        best = self.classes[np.arange(len(self)), self.probabilities.argmax(1)]
        return np.where(self.probabilities.sum(1) > 0, best, UNLABELLED)

    @property
    def hash(self) -> str:
        """SHA-256 of all of it: what must not change while a run is interrupted."""
        return hashlib.sha256(self.classes.tobytes() + self._mix(slice(None)).tobytes()).hexdigest()

    def subset(self, indices: np.ndarray) -> "LearntLabels":
        """Those of some images."""
        told = None if self.told is None else self.told[indices]
        return replace(self, classes=self.classes[indices], probabilities=self.probabilities[indices], told=told)

    def __getitem__(self, images: np.ndarray) -> np.ndarray:
        """float32 [B, C] of some images."""
        dense = np.zeros((len(images), len(self.class_names)), dtype=np.float32)
        np.put_along_axis(dense, self.classes[images], self._mix(images), 1)
        return smooth(dense, self.smoothing)

    def _mix(self, images: np.ndarray | slice) -> np.ndarray:
        """float32 [B, K]: label, and the LLM's own opinion where there is one (distillation, arXiv 1503.02531)."""
        own = self.probabilities[images]
        if self.told is None or not self.distillation:
            return own
        told = self.told[images]
        share = self.distillation * ((own.sum(1) > 0) & (told.sum(1) > 0))[:, None]
        return ((1 - share) * own + share * told).astype(np.float32)


def choose_labels(
    table: LabelTable, targets: str, images: ImageSet, digests: Sequence[str], distillation: float = 0.0
) -> LearntLabels:
    """What is learnt of the labels in a table.

    Args:
        table: weighed labels.
        targets: `weighed`, `given`, `picks` or `true`.
        images: the training images; `true` takes their own labels.
        digests: theirs.
        distillation: share of the picks' own opinion in what is learnt of `weighed` labels.

    Raises:
        LabelError: the table is of other images, or no image has such a label.
    """
    rows = table.find(images.keys, digests)
    facts = {name: table.manifest[name] for name in ("method", "situation", "states", "reliability")}
    facts |= {"name": table.folder.name, "targets": targets}
    if targets == "weighed":
        classes, probabilities = table.sparse
        known = table.numbers("proposed")[rows] != UNLABELLED
        told = table.told if distillation else None
        facts["distillation"] = distillation if told is not None else 0.0
        own, told = probabilities[rows] * known[:, None], None if told is None else told[rows]
        return LearntLabels(table.classes, classes[rows], own, facts, told, distillation)
    if targets == "true":
        labels = images.with_classes(table.classes).labels
    else:
        labels = table.numbers({"given": "given", "picks": "picked"}[targets])[rows]
    if (labels == UNLABELLED).all():
        raise LabelError(f"{table.folder} has no {targets} labels of these images; choose other --targets")
    certain = (labels != UNLABELLED).astype(np.float32)[:, None]
    return LearntLabels(table.classes, np.maximum(labels, 0)[:, None], certain, facts)


def smooth(classes: np.ndarray, smoothing: float) -> np.ndarray:
    """Spreads a share of the probabilities [N, C] over all classes; zero rows stay zero."""
    if not smoothing:
        return classes
    taught = classes.sum(1, keepdims=True) > 0
    return np.where(taught, (1 - smoothing) * classes + smoothing / classes.shape[1], 0).astype(np.float32)


def tell_what_is_unused(work: Path, images: ImageSet) -> str:
    """A line where the work folder knows more of the labels than is learnt; empty where it does not."""
    texts, picks = choose_prompts(work, None, None)
    if not picks and not texts:
        return ""
    what = "picks and texts" if picks and texts else "picks" if picks else "texts"
    return (
        f"the given labels are learnt as they are; {what} in {work} could correct and complete them: "
        f"gpt4image label {images.source} {work}, then --labels default"
    )

"""Which image goes with which text: the own one, copies, and those that are related by class or by wording."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Related = Literal["negative", "excluded", "positive"]
RelatedBy = Literal["class", "text"]
NEAR_TEXT = 0.95
"""Cosine from which texts are near-identical."""


@dataclass(frozen=True)
class Pairs:
    """How the pairs of B images and their B texts count.

    Attributes:
        weights: 1 for the own text and others that are right too, 0 for negatives.
        excluded: pairs that are neither right nor wrong.
    """

    weights: Float[Tensor, "B B"]
    excluded: Bool[Tensor, "B B"]


def own_pairs(images: Int[Tensor, "B"]) -> Pairs:
    """Each image goes with its own text; other copies of it (repeated augmentation) are excluded.

    Args:
        images: which image each row shows.
    """
    own = torch.eye(len(images), dtype=torch.bool, device=images.device)
    return Pairs(own.float(), (images[:, None] == images[None, :]) & ~own)


@dataclass(frozen=True)
class Relation:
    """What becomes of pairs of different images that are related.

    Args:
        counts_as: `negative` (as in the official code), `excluded`, or `positive`: as right as the own text.
        by: related are images of the same `class`, or with near-identical `text`.
    """

    counts_as: Related = "negative"
    by: RelatedBy = "class"

    def apply(self, pairs: Pairs, text: Float[Tensor, "B D"], classes: Float[Tensor, "B C"]) -> Pairs:
        """Pairs in which related ones count as they should.

        Args:
            pairs: of `own_pairs`.
            text: text embeddings.
            classes: class probabilities of the images.
        """
        if self.counts_as == "negative":
            return pairs
        related = self._find_related(text, classes) & (pairs.weights == 0) & ~pairs.excluded
        if self.counts_as == "excluded":
            return Pairs(pairs.weights, pairs.excluded | related)
        return Pairs(pairs.weights + related, pairs.excluded)

    def _find_related(self, text: Tensor, classes: Tensor) -> Tensor:
        if self.by == "text":
            unit = F.normalize(text, dim=1)
            return unit @ unit.T >= NEAR_TEXT
        label = torch.where(classes.sum(1) > 0, classes.argmax(1), -1)
        return (label[:, None] == label[None, :]) & (label >= 0)

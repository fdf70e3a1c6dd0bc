"""Which image goes with which text: the own one, copies, and those that are related by class or by wording."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Related = Literal["negative", "excluded", "soft", "positive"]
RelatedBy = Literal["class", "text", "all"]


@dataclass(frozen=True)
class Pairs:
    """How the pairs of B images and M texts count; text i < B is the own text of image i.

    Attributes:
        weights: 1 for the own text, between 0 and 1 for others that are right too, 0 for negatives.
        excluded: pairs that are neither right nor wrong.
    """

    weights: Float[Tensor, "B M"]
    excluded: Bool[Tensor, "B M"]


def own_pairs(images: Int[Tensor, "B"], texts: Int[Tensor, "M"]) -> Pairs:
    """Each image goes with its own text; other copies of it (repeated augmentation) are excluded.

    Args:
        images: which image each row shows.
        texts: which image each text describes; the first B are `images`.
    """
    diagonal = torch.eye(len(images), len(texts), dtype=torch.bool, device=images.device)
    return Pairs(diagonal.float(), (images[:, None] == texts[None, :]) & ~diagonal)


@dataclass(frozen=True)
class Relation:
    """What becomes of pairs of different images that are related.

    Args:
        counts_as: `negative` (as in the official code), `excluded`, `positive`, or `soft`: right in the measure
            exp((<t_i, t_j> - 1) / tau), so that a row's weights are the softmax of text similarities.
        by: related are images of the same `class`, with texts whose cosine reaches `near_text`, or `all`.
        near_text: see `by`.
        temperature: tau of `soft`.
    """

    counts_as: Related = "negative"
    by: RelatedBy = "class"
    near_text: float = 0.95
    temperature: float = 0.2

    def apply(self, pairs: Pairs, text: Float[Tensor, "M D"], classes: Float[Tensor, "M C"]) -> Pairs:
        """Pairs in which related ones count as they should.

        Args:
            pairs: of `own_pairs`.
            text: text embeddings; the first B belong to the images.
            classes: class probabilities of the images that the texts describe.
        """
        if self.counts_as == "negative":
            return pairs
        num_images = len(pairs.weights)
        unit = F.normalize(text, dim=1)
        cosine = unit[:num_images] @ unit.T
        related = self._find_related(cosine, classes) & (pairs.weights == 0) & ~pairs.excluded
        if self.counts_as == "excluded":
            return Pairs(pairs.weights, pairs.excluded | related)
        extra = torch.ones_like(cosine) if self.counts_as == "positive" else ((cosine - 1) / self.temperature).exp()
        return Pairs(torch.where(related, extra.to(pairs.weights), pairs.weights), pairs.excluded)

    def _find_related(self, cosine: Tensor, classes: Tensor) -> Tensor:
        match self.by:
            case "class":
                label = torch.where(classes.sum(1) > 0, classes.argmax(1), -1)
                return (label[: len(cosine), None] == label[None, :]) & (label >= 0)[None, :]
            case "text":
                return cosine >= self.near_text
            case _:
                return torch.ones_like(cosine, dtype=torch.bool)

"""Which image goes with which text: the own one, copies, and those of other images of its class."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Related = Literal["negative", "excluded", "positive"]


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


def relate_classes(pairs: Pairs, classes: Float[Tensor, "B C"], counts_as: Related) -> Pairs:
    """Pairs in which different images of the same class count as they should.

    Args:
        pairs: of `own_pairs`.
        classes: class probabilities of the images; of those without a class they are zero.
        counts_as: `negative` (as in the official code), `excluded`, or `positive`: as right as the own text.
    """
    label = torch.where(classes.sum(1) > 0, classes.argmax(1), -1)
    related = (label[:, None] == label[None, :]) & (label >= 0) & (pairs.weights == 0) & ~pairs.excluded
    match counts_as:
        case "excluded":
            return Pairs(pairs.weights, pairs.excluded | related)
        case "positive":
            return Pairs(pairs.weights + related, pairs.excluded)
    return pairs

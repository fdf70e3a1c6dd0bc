"""Which image goes with which text: the own one, copies, mixed images, and those of other images of its class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Related = Literal["negative", "excluded", "positive"]


@dataclass(frozen=True)
class Shown:
    """What the B rows of a batch show: a whole image each, or parts of K images where they are mixed.

    Attributes:
        images: position of each image in the image set.
        labels: its most probable class, -1 for none.
        shares: of the row, summing to 1.
    """

    images: Int[Tensor, "B K"]
    labels: Int[Tensor, "B K"]
    shares: Float[Tensor, "B K"]

    @classmethod
    def whole(cls, images: Int[Tensor, "B"], classes: Float[Tensor, "B C"]) -> "Shown":
        """Rows that show one image each, with these class probabilities; zero ones have no label."""
        labels = torch.where(classes.sum(1) > 0, classes.argmax(1), -1)
        return cls(images[:, None], labels[:, None], classes.new_ones(len(images), 1))

    def mix(self, weights: Float[Tensor, "B B"]) -> "Shown":
        """Rows that are mixed of two of these whole ones: row i shows row j to the share `weights[i, j]`."""
        shares, rows = weights.topk(2, dim=1)
        return Shown(self.images[rows, 0], self.labels[rows, 0], shares)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Shown":
        """The same function of every part, such as a choice of rows."""
        return Shown(function(self.images), function(self.labels), function(self.shares))


@dataclass(frozen=True)
class Pairs:
    """How the pairs of B images and their B texts count.

    Attributes:
        weights: 1 for the own text and others that are right too, 0 for negatives and for rows without a text.
        counts: how much of a pair stands in the sum over all: 1 for right ones and for negatives that share nothing,
            0 for pairs that are neither right nor wrong.
    """

    weights: Float[Tensor, "B B"]
    counts: Float[Tensor, "B B"]


def own_pairs(shown: Shown) -> Pairs:
    """Each row goes with its own text; what another row shows of the same images (copies, mixtures) is no negative."""
    own = torch.eye(len(shown.images), device=shown.images.device)
    return Pairs(own, (1 - compute_overlap(shown.images, shown.shares)).fill_diagonal_(1))


def relate_classes(pairs: Pairs, shown: Shown, counts_as: Related) -> Pairs:
    """Pairs in which different images of the same class count as they should, mixed ones in proportion.

    Args:
        pairs: of `own_pairs`.
        shown: what the rows show.
        counts_as: `negative` (as in the official code), `excluded`, or `positive`: as right as the own text.
    """
    if counts_as == "negative":
        return pairs
    own = pairs.weights > 0
    related = compute_overlap(shown.labels, shown.shares * (shown.labels >= 0))
    if counts_as == "excluded":
        return Pairs(pairs.weights, torch.where(own, 1, torch.minimum(pairs.counts, 1 - related)))
    # What is the same image stays neither right nor wrong.
    return Pairs(torch.where(own, 1, torch.minimum(pairs.counts, related)), pairs.counts)


def compute_overlap(names: Int[Tensor, "B K"], shares: Float[Tensor, "B K"]) -> Float[Tensor, "B B"]:
    """How much any two rows have in common: the sum over all names of the smaller of both shares, from 0 to 1.

    Args:
        names: what a row consists of; a name may stand in it several times.
        shares: of the names.
    """
    if names.shape[1] == 1:
        return (names == names.T) * torch.minimum(shares, shares.T)
    same = names[:, :, None] == names[:, None, :]
    first = ~same.tril(-1).any(2)
    own = (same * shares[:, None, :]).sum(2) * first
    theirs = ((names[:, :, None, None] == names) * shares).sum(3)
    return torch.minimum(own[:, :, None], theirs).sum(1).clamp_max(1)


def described_pairs(pairs: Pairs, has_text: Bool[Tensor, "B"]) -> Pairs:
    """Pairs of which rows without a text are no part: their own loss is zero, and they are no negatives of others."""
    both = has_text[:, None] & has_text[None, :]
    return Pairs(pairs.weights * both, (pairs.counts * both).fill_diagonal_(1))

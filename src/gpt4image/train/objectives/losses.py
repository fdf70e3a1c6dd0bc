"""Alignment objectives as pure functions of image and text embeddings.

Symbols: v [B, D] projected image features, t [B, D] their text embeddings, tau the temperature. `pairs` says which
pairs are right, wrong or neither; without it only the own text is right.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gpt4image.train.objectives.pairs import Pairs

GCE_Q = 0.7
"""The paper's, on all its data sets."""


def clip_loss(
    v: Float[Tensor, "B D"], t: Float[Tensor, "B D"], temperature: float, pairs: Pairs | None = None
) -> Float[Tensor, ""]:
    """Symmetric contrastive loss, GPT4Image's `clip` (arXiv 2306.00693, section 3.3): v and t are L2-normalised,
    S = v t^T / tau, and the loss is the mean of cross-entropy along rows and along columns.

    Deviation: `pairs` takes what two rows both show, copies of an image and mixtures with it, out of the sums (the
    official code takes them for negatives).
    """
    return _symmetric(compute_cosines(v, t) / temperature, pairs)


def ctr_loss(
    v: Float[Tensor, "B D"], t: Float[Tensor, "B D"], temperature: float, pairs: Pairs | None = None
) -> Float[Tensor, ""]:
    """One-directional contrastive loss, the official code's `ctr`: cross-entropy along rows only."""
    return _contrast(compute_cosines(v, t) / temperature, pairs)


def byol_loss(v: Float[Tensor, "B D"], t: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
    """Regression without negatives, the official code's `byol`: 2 - 2 <v, t> of each row, both L2-normalised."""
    return 2 - 2 * (F.normalize(v, dim=1) * F.normalize(t, dim=1)).sum(1)


def tokens_loss(logits: Float[Tensor, "B V"], words: Float[Tensor, "B V"]) -> Float[Tensor, "B"]:
    """Cross-entropy of each row with the word probabilities of its text (SuperClass, arXiv 2411.03313)."""
    return -(words * F.log_softmax(logits.float(), dim=1)).sum(1)


def textteacher_loss(v: Float[Tensor, "B D"], t: Float[Tensor, "B D"], pairs: Pairs | None = None) -> Float[Tensor, ""]:
    """TextTeacher's L_txt (arXiv 2605.22098): the symmetric loss on raw dot products, neither normalised nor
    divided by a temperature; t is centred by the caller."""
    return _symmetric(v @ t.T, pairs)


def soft_cross_entropy(logits: Float[Tensor, "B C"], targets: Float[Tensor, "B C"]) -> Float[Tensor, ""]:
    """Cross-entropy with probabilities as targets, averaged over the rows that have a target (sum above zero)."""
    per_row = -(targets * F.log_softmax(logits.float(), dim=1)).sum(1)
    return per_row.sum() / targets.sum().clamp_min(1e-6)


def generalised_cross_entropy(
    logits: Float[Tensor, "B C"], targets: Float[Tensor, "B C"], q: float = GCE_Q
) -> Float[Tensor, ""]:
    """L_q (arXiv 1805.07836, eq. 6): (1 - p_y^q) / q, between cross-entropy (q to 0) and absolute error (q = 1), so
    that a label that the model finds unlikely pulls less. Averaged over targets and rows as the cross-entropy is.
    """
    per_row = (targets * (1 - F.softmax(logits.float(), dim=1) ** q) / q).sum(1)
    return per_row.sum() / targets.sum().clamp_min(1e-6)


def compute_cosines(v: Float[Tensor, "B D"], t: Float[Tensor, "B D"]) -> Float[Tensor, "B B"]:
    """Cosine of every image with every text."""
    return F.normalize(v, dim=1) @ F.normalize(t, dim=1).T


def _symmetric(logits: Tensor, pairs: Pairs | None) -> Tensor:
    """Mean of the losses from images to texts and from texts to images."""
    back = None if pairs is None else Pairs(pairs.weights.T, pairs.counts.T)
    return (_contrast(logits, pairs) + _contrast(logits.T, back)) / 2


def _contrast(logits: Tensor, pairs: Pairs | None) -> Tensor:
    """Cross-entropy along rows; a row's target is spread over its right pairs in proportion to their weights."""
    if pairs is None:
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    # Far below all logits, but a number: what is not counted has the weight 0.
    counts = pairs.counts.to(logits).log().clamp_min(torch.finfo(logits.dtype).min / 4)
    sums = pairs.weights.sum(1, keepdim=True)
    weights = (pairs.weights / sums.clamp_min(1e-6)).to(logits)
    total = (weights * (counts - F.log_softmax(logits + counts, dim=1))).sum()
    return total / (sums > 0).sum().clamp_min(1)

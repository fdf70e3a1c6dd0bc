"""Alignment objectives as pure functions of image and text embeddings.

Symbols: v [B, D] projected image features, t [B, D] text embeddings, tau the temperature. Row i of v and row i of t
belong to the same image. `same` [B, B] marks pairs of rows of the same image (repeated augmentation, or an image
drawn twice): such an off-diagonal pair is no negative.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def clip_loss(
    v: Float[Tensor, "B D"], t: Float[Tensor, "B D"], temperature: float, same: Bool[Tensor, "B B"] | None = None
) -> Float[Tensor, ""]:
    """Symmetric contrastive loss, GPT4Image's `clip` (arXiv 2306.00693, section 3.3): v and t are L2-normalised,
    S = v t^T / tau, and the loss is the mean of cross-entropy along rows and along columns.

    Deviation: pairs in `same` other than the diagonal are left out of the sums (the official code takes copies of
    the same image for negatives).
    """
    logits = _similarity(v, t, temperature, same)
    labels = torch.arange(len(v), device=v.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def ctr_loss(
    v: Float[Tensor, "B D"], t: Float[Tensor, "B D"], temperature: float, same: Bool[Tensor, "B B"] | None = None
) -> Float[Tensor, ""]:
    """One-directional contrastive loss, the official code's `ctr`: cross-entropy along rows only."""
    labels = torch.arange(len(v), device=v.device)
    return F.cross_entropy(_similarity(v, t, temperature, same), labels)


def byol_loss(v: Float[Tensor, "B D"], t: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
    """Regression without negatives, the official code's `byol`: the mean of 2 - 2 <v, t>, both L2-normalised."""
    return (2 - 2 * (F.normalize(v, dim=1) * F.normalize(t, dim=1)).sum(1)).mean()


def textteacher_loss(
    v: Float[Tensor, "B D"], t: Float[Tensor, "B D"], same: Bool[Tensor, "B B"] | None = None
) -> Float[Tensor, ""]:
    """TextTeacher's L_txt (arXiv 2605.22098): the symmetric loss on raw dot products, neither normalised nor
    divided by a temperature; t is centred by the caller."""
    logits = _mask(v @ t.T, same)
    labels = torch.arange(len(v), device=v.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def soft_cross_entropy(logits: Float[Tensor, "B C"], targets: Float[Tensor, "B C"]) -> Float[Tensor, ""]:
    """Cross-entropy with probabilities as targets, averaged over the rows that have a target (sum above zero)."""
    per_row = -(targets * F.log_softmax(logits.float(), dim=1)).sum(1)
    return per_row.sum() / targets.sum().clamp_min(1e-6)


def _similarity(v: Tensor, t: Tensor, temperature: float, same: Tensor | None) -> Tensor:
    return _mask(F.normalize(v, dim=1) @ F.normalize(t, dim=1).T / temperature, same)


def _mask(logits: Tensor, same: Tensor | None) -> Tensor:
    if same is None:
        return logits
    off_diagonal = same & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    return logits.masked_fill(off_diagonal, float("-inf"))

"""The classifier on frozen features: multinomial logistic regression, its shrinkage found on the training data alone.

Sources: cross-entropy with soft targets and its gradient, Bishop, Pattern Recognition and Machine Learning (2006), eq.
4.108 f.; the bound on its curvature by which the search is conditioned, Boehning (1992), Multinomial logistic
regression algorithm; L-BFGS, Liu and Nocedal (1989); Pareto scaling, van den Berg et al. (2006), Centering, scaling,
and transformations.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits
from torch import Tensor

FOLDS = 5
"""Parts of the training data, each held out once."""
LARGE = 8000
"""From so many taught rows on, one part alone is held out."""
PENALTIES = tuple(float(10.0 ** (k / 2)) for k in range(-2, 11))
"""Precisions of the normal prior on each weight of a scaled feature, half a decade apart."""
FIRST = PENALTIES.index(10.0**1.5)
"""Where the search starts; it walks on until held-out targets get less likely."""
BIAS_PENALTY = 1.0
"""Precision of the prior on each bias: about one image, so that a class absent from some part stays finite."""
TOLERANCE, ROUGH = 1e-9, 1e-6
"""Relative change of the loss at which a fit has converged; the second where only penalties are compared."""

Balance = Literal["none", "loss", "prior"]


@dataclass(frozen=True)
class Head:
    """An ordinary linear layer for unscaled features, and how it was found.

    Attributes:
        weight: float32 [C, F].
        bias: float32 [C].
        penalty: precision of the prior on weights of scaled features.
        log_likelihood: held-out mean log-likelihood of the targets in nats at each penalty that was tried.
        num_taught: rows with a target.
    """

    weight: Float[Tensor, "classes features"]
    bias: Float[Tensor, " classes"]
    penalty: float
    log_likelihood: dict[float, float]
    num_taught: int

    def compute_logits(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Logits of unscaled features."""
        return features @ self.weight.T + self.bias


class ScaledFeatures:
    """Frozen features [N, F], centred and scaled by all their rows; what many fits share is computed once."""

    def __init__(self, features: Float[Tensor, "rows features"]) -> None:
        if not torch.isfinite(features).all():
            raise ValueError("features must be finite")
        self.mean = features.float().mean(0)
        self.scale = _compute_scale(features.float())
        self.rows = (features.float() - self.mean) / self.scale

    @cached_property
    def rotated(self) -> tuple[Float[Tensor, "rows rank"], Float[Tensor, "features rank"]]:
        """All rows on their principal directions, and those directions."""
        return _rotate(self.rows)

    def take(self, taught: Tensor) -> tuple[Float[Tensor, "taught rank"], Float[Tensor, "features rank"]]:
        """The taught rows (bool [N]) on principal directions: of all rows, or of their own where they are few."""
        if 2 * int(taught.sum()) < len(taught):
            return _rotate(self.rows[taught])
        scores, directions = self.rotated
        return scores[taught], directions


def fit_head(
    features: ScaledFeatures | Float[Tensor, "rows features"],
    targets: Float[Tensor, "rows classes"],
    seed: int = 0,
    balance: Balance = "none",
) -> Head:
    """Fits a linear classifier to soft targets until it has converged.

    Minimises the cross-entropy, summed over rows, plus half the penalty times the squared weights of the scaled
    features. The penalty is the one under which held-out targets are likeliest. Features are scaled by all rows, taught
    or not. A class without any target gets no weights and so low a bias that it is never the first choice.

    Args:
        features: frozen features, float32 [N, F]; as `ScaledFeatures` if several heads are fitted to them.
        targets: class probabilities [N, C]; a row that sums to less teaches less, a row of zeros nothing.
        seed: of the split into held-out parts.
        balance: `loss` weighs classes so that each teaches as much as every other; `prior` adds the logarithm of each
            class's share to its logit in the loss (logit adjustment, arXiv 2007.07314, eq. 10, tau 1). With biases that
            are drawn to minus that instead of zero it is the plain fit, less that logarithm in the end.

    Raises:
        ValueError: no row has a target, or something is not finite, or targets are negative.
    """
    if not torch.isfinite(targets).all() or (targets < 0).any():
        raise ValueError("targets must be finite and not negative")
    taught, known = targets.sum(1) > 0, targets.sum(0) > 0
    if not taught.any():
        raise ValueError("no row has a target; give at least one image a label")
    scaled = features if isinstance(features, ScaledFeatures) else ScaledFeatures(features)
    scores, directions = scaled.take(taught)
    wanted = _balance(targets[taught][:, known].float(), balance)
    with threadpool_limits(1, user_api="blas"):  # L-BFGS's vectors are short: more threads only wait for each other
        penalty, tried = _choose_penalty(scores, wanted, seed)
        free = _fit(scores, wanted[None], penalty)[:, 0]
    num_classes = targets.shape[1]
    weight = torch.zeros(num_classes, len(scaled.mean))
    bias = torch.full((num_classes,), -float(np.log(len(wanted) + num_classes)))
    weight[known] = (directions @ free[:-1]).T / scaled.scale
    bias[known] = free[-1] - weight[known] @ scaled.mean
    if balance == "prior":
        bias[known] -= (wanted.sum(0) / wanted.sum()).log()
    return Head(weight, bias, penalty, tried, int(taught.sum()))


def _compute_scale(features: Float[Tensor, "rows features"]) -> Float[Tensor, " features"]:
    """Root of the standard deviation, in units in which the usual one is 1: between raw and standardised features.

    Standardising in full blows up what hardly varies and costs 1 to 2 points where labels are few.
    """
    std = features.std(0, correction=0)
    usual = std.square().mean().sqrt()
    return (std.clamp(min=1e-3 * usual) * usual).sqrt() if usual > 0 else torch.ones_like(std)


def _balance(targets: Float[Tensor, "rows classes"], balance: str) -> Float[Tensor, "rows classes"]:
    """Weighs classes by the inverse of how much they are taught; the sum over all stays."""
    if balance != "loss":
        return targets
    mass = targets.sum(0)
    return targets * (mass.sum() / (len(mass) * mass))


def _rotate(x: Float[Tensor, "rows features"]) -> tuple[Float[Tensor, "rows rank"], Float[Tensor, "features rank"]]:
    """Scores on the principal directions, at most as many as rows: the same penalised fit, well conditioned."""
    x64 = x.double()
    wide = len(x) <= x.shape[1]
    values, vectors = torch.linalg.eigh(x64 @ x64.T if wide else x64.T @ x64)
    keep = values > 1e-9 * values[-1].clamp(min=1e-30)
    values, vectors = values[keep], vectors[:, keep]
    directions = (x64.T @ vectors / values.sqrt() if wide else vectors).float()
    return x @ directions, directions


def _choose_penalty(
    scores: Float[Tensor, "rows rank"], targets: Float[Tensor, "rows classes"], seed: int
) -> tuple[float, dict[float, float]]:
    """Walks from the usual penalty towards likelier held-out targets until they get less likely again."""
    folds = _split_into_folds(targets, seed)
    held = torch.stack([folds == fold for fold in range(1 if len(targets) >= LARGE else FOLDS)])
    held = held[held.any(1) & ~held.all(1)]
    tried: dict[int, float] = {}
    fits: dict[int, Tensor] = {}

    def compute_log_likelihood(position: int) -> float:
        if position not in tried:
            start = fits.get(position - 1, fits.get(position + 1))
            fits[position] = _fit(scores, targets * ~held[..., None], PENALTIES[position], start, ROUGH)
            log_p = _compute_logits(scores, fits[position]).log_softmax(2).transpose(0, 1)
            tried[position] = float((targets * log_p)[held].sum() / targets.expand(len(held), -1, -1)[held].sum())
        return tried[position]

    best = FIRST
    if len(held):
        step = 1 if compute_log_likelihood(FIRST + 1) >= compute_log_likelihood(FIRST) else -1
        while 0 <= best + step < len(PENALTIES) and compute_log_likelihood(best + step) > tried[best]:
            best += step
    return PENALTIES[best], {PENALTIES[k]: tried[k] for k in sorted(tried)}


def _split_into_folds(targets: Float[Tensor, "rows classes"], seed: int) -> Int[Tensor, " rows"]:
    """Number of the part that holds each row out; classes (by their likeliest) are spread evenly over the parts."""
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    order = order[torch.argsort(targets.argmax(1)[order], stable=True)]
    folds = torch.empty(len(targets), dtype=torch.int64)
    folds[order] = torch.arange(len(targets)) % FOLDS
    return folds


def _compute_logits(scores: Float[Tensor, "rows rank"], free: Float[Tensor, "rank_bias fits classes"]) -> Tensor:
    """Logits [N, fits, C]; the last row of `free` holds the biases."""
    flat = free.flatten(1)
    return torch.addmm(flat[-1], scores, flat[:-1]).unflatten(1, free.shape[1:])


def _fit(
    scores: Float[Tensor, "rows rank"],
    targets: Float[Tensor, "fits rows classes"],
    penalty: float,
    start: Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> Float[Tensor, "rank_bias fits classes"]:
    """Several fits to the same rows at once; directions are scaled by half of Boehning's bound on their curvature."""
    wanted = targets.transpose(0, 1).contiguous()
    mass = wanted.sum(2, keepdim=True)
    weight = mass.mean(1) / targets.shape[2]
    curvature = torch.cat([(weight * scores.square()).sum(0) + penalty, weight.sum(0) + BIAS_PENALTY])
    unit = curvature.rsqrt()[:, None, None]
    prior = torch.full_like(unit, penalty)
    prior[-1] = BIAS_PENALTY
    shape = (len(unit), len(targets), targets.shape[2])
    first = np.zeros(shape) if start is None else (start / unit).double().numpy()

    def compute_loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        free = torch.from_numpy(flat.reshape(shape)).float() * unit
        log_p = _compute_logits(scores, free).log_softmax(2)
        off = (mass * log_p.exp() - wanted).flatten(1)
        gradient = torch.cat([scores.T @ off, off.sum(0, keepdim=True)]).unflatten(1, shape[1:]) + prior * free
        loss = 0.5 * (prior * free.square()).sum(dtype=torch.float64) - (wanted * log_p).sum(dtype=torch.float64)
        return float(loss), (gradient * unit).double().numpy().ravel()

    options = {"maxiter": 500, "ftol": tolerance, "gtol": 1e-6, "maxcor": 10}
    found = minimize(compute_loss, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(found.x.reshape(shape)).float() * unit

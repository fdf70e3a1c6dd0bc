"""Multinomial logistic regression on soft targets, cross-fitted: no model reads an image whose target it saw.

Where there are many images and classes, linear discriminant analysis instead (Fisher, 1936): logits x' S^-1 m - m' S^-1
m / 2 + log pi, with m the class means and S the shrunken covariance within classes. It has a closed form; on clothing
it was as good on texts and 1 point below on image features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize

from gpt4image.label.weigh.log_space import normalise_logs

NUM_FOLDS = 5
MAX_ITERATIONS = 60
TOLERANCE = 1e-6
"""Relative change of the loss at which a fit ends."""
PENALTIES = (0.1, 1.0, 5.0)
"""Of which the one is taken under which held-out labels are likeliest."""
BIAS_PENALTY = 1e-3
MOST_CELLS = 1_000_000
"""Images times classes up to which regressions are fitted."""
SHRINKAGE = 0.1


@dataclass(frozen=True)
class CrossFit:
    """Regressions of all folds.

    Attributes:
        weights: float32 [F, K, C], by fold left out.
        prior: [C], mean of the targets that they were fitted to.
    """

    weights: Float[np.ndarray, "F K C"]
    prior: Float[np.ndarray, " C"]

    def read_held_out(self, points: np.ndarray, folds: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N C"]:
        """Logits of each image by the model that did not see it."""
        logits = np.empty((len(points), self.weights.shape[2]), np.float32)
        for fold, weights in enumerate(self.weights):
            logits[folds == fold] = points[folds == fold] @ weights
        return logits

    def read_unseen(self, points: np.ndarray) -> Float[np.ndarray, "N C"]:
        """Logits of images that no model saw: mean over the folds."""
        return points @ self.weights.mean(0)


def cross_fit(
    points: Float[np.ndarray, "N K"],
    targets: Float[np.ndarray, "N C"],
    folds: Int[np.ndarray, " N"],
    penalty: float = PENALTIES[0],
    start: CrossFit | None = None,
) -> CrossFit:
    """Fits one regression a fold, on the images of all other folds.

    Args:
        points: components with a last column of ones.
        targets: class probabilities; rows of zeros are left out, rows that add up to less than 1 count less.
        folds: 0 to F - 1.
        penalty: half of it times the squared weights is added to the summed cross-entropy.
        start: of an earlier fit to similar targets.
    """
    taught = targets.sum(1) > 1e-6
    totals = targets[taught].sum(0)
    prior = (totals + 1) / (totals.sum() + len(totals))
    if targets.size > MOST_CELLS:
        return CrossFit(np.stack(_discriminate(points, targets, folds)), prior)
    weights = []
    for fold in range(NUM_FOLDS):
        chosen = taught & (folds != fold)
        weights.append(
            _fit(
                points[chosen],
                targets[chosen].astype(np.float32),
                penalty,
                None if start is None else start.weights[fold],
            )
        )
    return CrossFit(np.stack(weights), prior)


def _discriminate(points: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> list[np.ndarray]:
    """Linear discriminants [K, C], one a fold, from sums over the other folds."""
    x = points[:, :-1].astype(np.float32)
    targets = targets.astype(np.float32)
    parts = []
    for fold in range(NUM_FOLDS):
        chosen = folds == fold
        mass = targets[chosen].sum(1, keepdims=True)
        parts.append((targets[chosen].sum(0), targets[chosen].T @ x[chosen], x[chosen].T @ (mass * x[chosen])))
    sizes, sums, squares = (np.sum([part[i] for part in parts], axis=0) for i in range(3))
    found = []
    for size, total, square in parts:
        counts = (sizes - size + 1e-6)[:, None]
        means = (sums - total) / counts
        within = (squares - square - (means * counts).T @ means) / counts.sum()
        usual = np.trace(within) / len(within)
        solved = np.linalg.solve((1 - SHRINKAGE) * within + SHRINKAGE * usual * np.eye(len(within)), means.T)
        shares = (counts[:, 0] + 1) / (counts.sum() + len(counts))
        bias = np.log(shares) - 0.5 * (means * solved.T).sum(1)
        found.append(np.vstack([solved, bias]).astype(np.float32))
    return found


def _fit(points: np.ndarray, targets: np.ndarray, penalty: float, start: np.ndarray | None) -> np.ndarray:
    """Minimises with each component scaled by the curvature at weights of zero, as components differ in variance."""
    shape = (points.shape[1], targets.shape[1])
    mass = targets.sum(1, keepdims=True)
    ridge = np.full((shape[0], 1), penalty, np.float32)
    ridge[-1] = BIAS_PENALTY
    curvature = (points**2).T @ mass * (shape[1] - 1) / shape[1] ** 2 + ridge
    scale = (1 / np.sqrt(curvature)).astype(np.float32)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape).astype(np.float32) * scale
        logs = normalise_logs(points @ weights)
        gradient = points.T @ (np.exp(logs) * mass - targets) + ridge * weights
        value = -(targets * logs).sum() + 0.5 * (ridge * weights * weights).sum()
        return float(value), (gradient * scale).ravel().astype(np.float64)

    flat = np.zeros(shape[0] * shape[1]) if start is None else (start / scale).ravel().astype(np.float64)
    options = {"maxiter": MAX_ITERATIONS, "ftol": TOLERANCE}
    found = minimize(loss, flat, jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(shape).astype(np.float32) * scale

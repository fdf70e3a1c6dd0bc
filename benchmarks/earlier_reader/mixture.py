"""A mixture model over all texts: described images without a label lie in clusters that the reader alone cannot see.

Expectation-maximisation for one spherical Gaussian a class, in the leading principal components of the text features
(components scaled to the square root of their standard deviation: neither whitened nor dominated by the first few).
"""

import numpy as np
from jaxtyping import Bool, Float

NUM_COMPONENTS = 64
VARIANCE = 0.035
"""Of a class in each direction, where the features' mean squared norm is 1; flat between 0.025 and 0.05."""
NUM_ITERATIONS = 15
UNLABELLED_WEIGHT = 0.5
"""Weight of an image without a label beside one with, in the class means."""


def refine_with_mixture(
    features: Float[np.ndarray, "N D"], probabilities: Float[np.ndarray, "N C"], labelled: Bool[np.ndarray, " N"]
) -> Float[np.ndarray, "N C"]:
    """Class probabilities by the mixture, started from `probabilities`.

    Args:
        features: text features, centred, of mean squared norm 1.
        probabilities: of the reader; those of labelled images are kept.
        labelled: which images have a label.
    """
    points = _project(features)
    weight = np.where(labelled | ~labelled.any(), 1.0, UNLABELLED_WEIGHT)[:, None]
    current = probabilities
    for _ in range(NUM_ITERATIONS):
        shares = weight * current
        means = (shares.T @ points) / (shares.sum(0)[:, None] + 1e-9)
        current = np.where(labelled[:, None], probabilities, _responsibilities(points, means))
    return current


def _project(features: np.ndarray) -> np.ndarray:
    """Leading principal components [N, <= 64], rescaled to a mean squared norm of 1."""
    covariance = features.T.astype(np.float64) @ features
    variances, directions = np.linalg.eigh(covariance)
    leading = np.argsort(variances)[::-1][: min(NUM_COMPONENTS, len(features) - 1)]
    deviations = np.sqrt(np.maximum(variances[leading], 1e-12))
    points = features @ (directions[:, leading] / np.sqrt(deviations))
    return points / np.sqrt((points**2).sum(1).mean() + 1e-12)


def _responsibilities(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    logits = (points @ means.T - (means**2).sum(1) / 2) / VARIANCE
    logits -= logits.max(1, keepdims=True)
    likelihoods = np.exp(logits)
    return likelihoods / likelihoods.sum(1, keepdims=True)

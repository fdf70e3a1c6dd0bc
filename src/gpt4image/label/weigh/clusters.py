"""A mixture of one spherical Gaussian a class over all texts: images without a label lie in clusters.

Expectation-maximisation in the leading principal components, each scaled to the square root of its standard deviation
(neither whitened nor dominated by the first few). Shares of the classes and the variance are estimated. It starts from
what class names or a few labels say, and is only a belief to begin with: what follows has to make labels, or images,
likelier than it would be without (`weigh`).
"""

import numpy as np
from jaxtyping import Float, Int

from gpt4image.label.weigh.log_space import normalise_logs

NUM_COMPONENTS = 64
NUM_ITERATIONS = 15
NUM_ASSUMED = 5.0
"""Images by which equal shares count for each class."""


def find_clusters(
    points: Float[np.ndarray, "N K"], start: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N C"]:
    """Class probabilities by the mixture.

    Args:
        points: principal components, the largest first.
        start: what is believed at first.
        labels: given labels, which are kept; -1 where there is none.
    """
    points = points[:, :NUM_COMPONENTS].astype(np.float64)
    points = points / np.sqrt(points.std(0) + 1e-6)
    points /= np.sqrt((points**2).sum(1).mean())
    labelled, num_classes = labels >= 0, start.shape[1]
    belief = start.copy()
    belief[labelled] = np.eye(num_classes)[labels[labelled]]
    squares = (points**2).sum(1, keepdims=True)
    for _ in range(NUM_ITERATIONS):
        sizes = belief.sum(0)
        means = belief.T @ points / (sizes[:, None] + 1e-9)
        distances = squares - 2 * points @ means.T + (means**2).sum(1)
        variance = float((belief * distances).sum() / (belief.sum() * points.shape[1]))
        shares = (sizes + NUM_ASSUMED) / (sizes.sum() + NUM_ASSUMED * num_classes)
        belief = np.exp(normalise_logs(np.log(shares) - distances / (2 * max(variance, 1e-9))))
        belief[labelled] = np.eye(num_classes)[labels[labelled]]
    return belief

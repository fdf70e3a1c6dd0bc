"""The witnesses' opinions as one: a logarithmic pool, log q(y) = log pi(y) + sum_w alpha_w log(p_w(y) / pi_w(y)).

Independent witnesses would have weights of 1. Those that repeat each other get less: the weights are those under which
held-out labels are likeliest, with a normal prior around `USUAL_WEIGHTS`, which hold where there is no label.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from gpt4image.label.weigh.log_space import normalise_logs

USUAL_WEIGHTS = {"picks": 1.0, "text": 0.6, "names": 0.3, "image": 0.4}
SPREAD = 0.15
LARGEST = 2.0


def combine(
    opinions: Sequence[Float[np.ndarray, "N C"]],
    weights: Sequence[float] | Float[np.ndarray, " W"],
    prior: Float[np.ndarray, " C"],
) -> Float[np.ndarray, "N C"]:
    """Log-probabilities of the pool; opinions are log(p_w / pi_w), zero where a witness says nothing."""
    logits = np.broadcast_to(np.log(prior), opinions[0].shape).astype(opinions[0].dtype)
    for opinion, weight in zip(opinions, weights, strict=True):
        logits = logits + weight * opinion
    return normalise_logs(logits)


def fit_weights(
    opinions: Sequence[Float[np.ndarray, "n C"]],
    usual: Float[np.ndarray, " W"],
    prior: Float[np.ndarray, " C"],
    likelihood: Float[np.ndarray, "n C"],
) -> tuple[np.ndarray, float]:
    """Weights, and the log-likelihood of the labels under them, with the prior of the weights.

    Args:
        opinions: on the labelled images, by models that did not see their labels.
        usual: weights beforehand.
        prior: shares of the classes.
        likelihood: P(label | y).
    """

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        probabilities = np.exp(combine(opinions, weights, prior))
        joint = probabilities * likelihood
        right = joint.sum(1, keepdims=True) + 1e-12
        change = joint / right - probabilities
        gradient = np.array([-(change * opinion).sum() for opinion in opinions]) + (weights - usual) / SPREAD**2
        return float(-np.log(right).sum() + 0.5 * (((weights - usual) / SPREAD) ** 2).sum()), gradient

    found = minimize(loss, usual, jac=True, method="L-BFGS-B", bounds=[(0, LARGEST)] * len(usual)).x
    return found, -loss(found)[0]

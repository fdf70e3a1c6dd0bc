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
MOST_CELLS = 1_000_000
"""Images times classes that weights are fitted to; a regular choice of more."""


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

    step = -(-likelihood.size // MOST_CELLS) or 1
    few, few_likelihood = [opinion[::step] for opinion in opinions], likelihood[::step]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        probabilities = np.exp(combine(few, weights, prior))
        joint = probabilities * few_likelihood
        right = joint.sum(1, keepdims=True) + 1e-12
        change = joint / right - probabilities
        surprise = (weights - usual) / SPREAD
        gradient = -step * np.array([(change * opinion).sum() for opinion in few]) + surprise / SPREAD
        return float(-step * np.log(right).sum() + 0.5 * (surprise**2).sum()), gradient

    found = minimize(loss, usual, jac=True, method="L-BFGS-B", bounds=[(0, LARGEST)] * len(usual)).x
    return found, -loss(found)[0]

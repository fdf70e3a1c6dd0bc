"""The witnesses' opinions as one: a logarithmic pool, log q(y) = log pi(y) + sum_w alpha_w log(p_w(y) / pi_w(y)).

Independent witnesses would have weights of 1. Those that repeat each other get less: the weights are those under which
held-out labels are likeliest, with a normal prior around `USUAL_WEIGHTS`, which hold where there is no label.

Picks and texts may fail together, where a whole answer belongs to another image or its describer was misled. With rate
delta of such answers, q_d the pool of what the describers said,

    q(y) ~ ((1 - delta) q_d(y) + delta pi(y)) * prod_v (p_v(y) / pi_v(y))^alpha_v

over the others, the image's own features, which tell such answers from wrong labels; without them delta is 0.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize, minimize_scalar

from gpt4image.label.weigh.calibration import USUAL_LEAK
from gpt4image.label.weigh.log_space import normalise_logs, sigmoid

USUAL_WEIGHTS = {"picks": 1.0, "text": 0.6, "names": 0.3, "image": 0.4}
SPREAD = 0.15
LARGEST = 2.0
MOST_CELLS = 1_000_000
"""Images times classes that weights are fitted to; a regular choice of more."""


def combine(
    opinions: Sequence[Float[np.ndarray, "N C"]],
    weights: Sequence[float] | Float[np.ndarray, " W"],
    prior: Float[np.ndarray, " C"],
    told: Sequence[bool] = (),
    leak: float = 0.0,
) -> Float[np.ndarray, "N C"]:
    """Log-probabilities of the pool.

    Args:
        opinions: log(p_w / pi_w) of each witness, zero where it says nothing.
        weights: alpha.
        prior: pi.
        told: which witnesses are a describer's words; only needed with a leak.
        leak: delta.
    """
    parts = _add(opinions, weights, told, leak)
    return normalise_logs(_doubt(np.log(prior) + parts[0], prior, leak)[0] + parts[1])


def _add(
    opinions: Sequence[np.ndarray], weights: Sequence[float] | np.ndarray, told: Sequence[bool], leak: float
) -> list[np.ndarray]:
    """Weighted sums of what describers said and of what else is seen; of everything without a leak."""
    parts = [np.zeros_like(opinions[0]), np.zeros_like(opinions[0])]
    for number, (opinion, weight) in enumerate(zip(opinions, weights, strict=True)):
        parts[int(leak > 0 and not told[number])] += weight * opinion
    return parts


def _doubt(logits: np.ndarray, prior: np.ndarray, leak: float) -> tuple[np.ndarray, np.ndarray]:
    """log((1 - delta) q_d + delta pi) of describers' logits, and its derivative by log q_d."""
    if not leak:
        return logits, np.ones_like(logits)
    trusted = (1 - leak) * np.exp(normalise_logs(logits))
    whole = trusted + (leak * prior).astype(logits.dtype)
    return np.log(whole), trusted / whole


def fit_weights(
    opinions: Sequence[Float[np.ndarray, "n C"]],
    usual: Float[np.ndarray, " W"],
    prior: Float[np.ndarray, " C"],
    likelihood: Float[np.ndarray, "n C"],
    told: Sequence[bool] = (),
    leaks: bool = False,
    fixed: bool = False,
) -> tuple[np.ndarray, float, float]:
    """Weights, leak, and the log-likelihood of the labels under them, with their priors.

    Args:
        opinions: on the labelled images, by models that did not see their labels.
        usual: weights beforehand.
        prior: shares of the classes.
        likelihood: P(label | y).
        told: which witnesses are a describer's words.
        leaks: whether their words may be of other images; else the leak is 0.
        fixed: the usual weights stay.
    """

    step = -(-likelihood.size // MOST_CELLS) or 1
    few, few_likelihood = [opinion[::step] for opinion in opinions], likelihood[::step]

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights, leak = point[: len(usual)], sigmoid(point[-1]) if leaks else 0.0
        said, seen = _add(few, weights, told, leak)
        said = normalise_logs(np.log(prior) + said)
        pooled, slope = _doubt(said, prior, leak)
        probabilities = np.exp(normalise_logs(pooled + seen))
        joint = probabilities * few_likelihood
        right = joint.sum(1, keepdims=True) + 1e-12
        change = joint / right - probabilities
        surprise = (weights - usual) / SPREAD
        value = float(-step * np.log(right).sum() + 0.5 * (surprise**2).sum())
        through = change * slope
        through -= np.exp(said) * through.sum(1, keepdims=True)
        sources = [through if not leak or told[number] else change for number in range(len(few))]
        gradient = [-step * (source * one).sum() for source, one in zip(sources, few, strict=True)] + surprise / SPREAD
        if not leaks:
            return value, gradient
        by_leak = change * (prior - np.exp(said)) / np.exp(pooled)
        moved = -step * float(by_leak.sum()) * leak * (1 - leak) + (point[-1] - USUAL_LEAK)
        return value + 0.5 * (point[-1] - USUAL_LEAK) ** 2, np.append(gradient, moved)

    start, bounds = usual, [(0.0, LARGEST)] * len(usual)
    if leaks:
        start, bounds = np.append(usual, USUAL_LEAK), [*bounds, (-8.0, 4.0)]
    if fixed:
        return usual, 0.0, -loss(usual)[0]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[: len(usual)], float(sigmoid(found[-1])) if leaks else 0.0, -loss(found)[0]


def estimate_leak(
    said: Float[np.ndarray, "n C"], seen: Float[np.ndarray, "n C"], prior: Float[np.ndarray, " C"]
) -> float:
    """The leak under which what describers said and what the images look like agree best, without any label.

    Maximises sum_i log sum_y ((1 - delta) q_d(y) + delta pi(y)) r_i(y), r_i the likelihood of the image's features.

    Args:
        said: log q_d, pool of what the describers said of each image.
        seen: log r, up to a number for each image.
        prior: pi.
    """
    step = -(-said.size // MOST_CELLS) or 1
    likelihood = np.exp(normalise_logs(seen[::step]))
    told, any_class = (np.exp(said[::step]) * likelihood).sum(1), likelihood @ prior

    def loss(logit: float) -> float:
        leak = sigmoid(logit)
        agreed = np.log((1 - leak) * told + leak * any_class + 1e-12).sum()
        return float(0.5 * (logit - USUAL_LEAK) ** 2 - step * agreed)

    return float(sigmoid(minimize_scalar(loss, bounds=(-8.0, 4.0), method="bounded").x))

"""How literally a witness's probabilities may be taken: a temperature, and how often it says nothing.

A text that belongs to another image says any class as often as that class occurs. With rate rho of such texts

    p'(y) = (1 - rho) softmax(logits / T)(y) + rho pi(y)

so that however sure it sounds, it can add only log((1 - rho) / (rho pi)) to what others say.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from gpt4image.label.weigh.log_space import normalise_logs, sigmoid

LEAST_LABELS = 30
MOST_CELLS = 1_000_000
"""Images times classes that are looked at; a regular choice of more."""
NO_LEAK = 1e-3
USUAL_LEAK = -3.5
"""Log-odds of rho beforehand, with standard deviation 1; log T has mean 0 and deviation 1."""


@dataclass(frozen=True)
class Calibration:
    """Attributes:
    sharpness: 1 / T.
    leak: rho.
    log_likelihood: of the labels, in nats.
    """

    sharpness: float
    leak: float
    log_likelihood: float = 0.0

    def apply(self, logits: Float[np.ndarray, "N C"], prior: Float[np.ndarray, " C"]) -> Float[np.ndarray, "N C"]:
        """Calibrated probabilities."""
        return (1 - self.leak) * np.exp(normalise_logs(self.sharpness * logits)) + self.leak * prior


def calibrate(
    logits: Float[np.ndarray, "N C"],
    prior: Float[np.ndarray, " C"],
    likelihood: Float[np.ndarray, "N C"],
    leaks: bool = True,
) -> Calibration:
    """Finds temperature and leak under which held-out labels, or soft targets, are likeliest.

    Args:
        logits: of a model that did not see the images.
        prior: of the classes, in the images that the model was fitted on.
        likelihood: P(label | y) of each image.
        leaks: whether what was read may belong to another image; no if there is nothing to tell that from wrong labels.
    """

    step = -(-logits.size // MOST_CELLS) or 1
    logits, likelihood = logits[::step], likelihood[::step]

    def build(point: np.ndarray) -> Calibration:
        return Calibration(float(np.exp(point[0])), sigmoid(point[1]) if leaks else NO_LEAK)

    def loss(point: np.ndarray) -> float:
        right = (build(point).apply(logits, prior) * likelihood).sum(1)
        surprise = point[0] ** 2 + ((point[1] - USUAL_LEAK) ** 2 if leaks else 0)
        return float(-step * np.log(right + 1e-12).sum() + 0.5 * surprise)

    options = {"maxiter": 80, "xatol": 0.02, "fatol": 0.05}
    best = minimize(loss, [0.0, USUAL_LEAK] if leaks else [0.0], method="Nelder-Mead", options=options)
    return replace(build(best.x), log_likelihood=-float(best.fun))

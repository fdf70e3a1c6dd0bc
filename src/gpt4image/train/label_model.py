"""What a given label and a reader's opinion say together about the true class.

Labels are taken as right with probability 1 - eps and otherwise as any other class alike. eps and the reader's
temperature are those under which the given labels are most likely, so a reader that is worth little says little and
clean labels stay as they are.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

TEMPERATURES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 3.0)
NOISE_RATES = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Calibration:
    """How to read a reader and the labels.

    Attributes:
        temperature: the reader's log-probabilities are divided by it.
        noise: share of wrong labels, eps.
        log_likelihood: of the given labels.
    """

    temperature: float
    noise: float
    log_likelihood: float

    def apply(self, probabilities: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
        """The calibrated probabilities."""
        return _temper(probabilities, self.temperature)


def calibrate(probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]) -> Calibration:
    """Finds temperature and label noise by maximum likelihood over a grid.

    Args:
        probabilities: of a reader that did not see the image's label.
        labels: given labels, -1 where there is none; at least one is given.
    """
    labelled = np.flatnonzero(labels >= 0)
    num_classes = probabilities.shape[1]
    noise = np.array(NOISE_RATES)[:, None]
    best = Calibration(1.0, 0.0, -np.inf)
    for temperature in TEMPERATURES:
        right = _temper(probabilities[labelled], temperature)[np.arange(len(labelled)), labels[labelled]]
        likelihoods = np.log((1 - noise) * right + noise / (num_classes - 1) * (1 - right)).sum(1)
        row = int(likelihoods.argmax())
        if likelihoods[row] > best.log_likelihood:
            best = Calibration(temperature, NOISE_RATES[row], float(likelihoods[row]))
    return best


def compute_posterior(
    probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"], noise: float
) -> Float[np.ndarray, "N C"]:
    """Bayes: P(y | text, label) in proportion to P(y | text) P(label | y); the text alone where there is no label.

    Args:
        probabilities: calibrated, of a reader that did not see the image's label.
        labels: given labels, -1 where there is none.
        noise: share of wrong labels.
    """
    num_classes = probabilities.shape[1]
    labelled = np.flatnonzero(labels >= 0)
    of_label = np.ones_like(probabilities)
    of_label[labelled] = noise / (num_classes - 1)
    of_label[labelled, labels[labelled]] = 1 - noise
    joint = probabilities * of_label
    return joint / joint.sum(1, keepdims=True)


def estimate_accuracy(
    probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"], noise: float
) -> float | None:
    """How often the reader is right, from how often it agrees with labels of which `noise` are wrong.

    With accuracy a they agree in a (1 - eps) + (1 - a) eps / (C - 1) of all cases.
    """
    labelled = np.flatnonzero(labels >= 0)
    by_chance = noise / (probabilities.shape[1] - 1)
    if len(labelled) == 0 or 1 - noise - by_chance < 0.05:
        return None
    agreement = float((probabilities[labelled].argmax(1) == labels[labelled]).mean())
    return float(np.clip((agreement - by_chance) / (1 - noise - by_chance), 0, 1))


def _temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    logits = np.log(probabilities + 1e-9) / temperature
    logits -= logits.max(1, keepdims=True)
    tempered = np.exp(logits)
    return tempered / tempered.sum(1, keepdims=True)

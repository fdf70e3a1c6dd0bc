"""What a given label and a reader's opinion say together about the true class.

Labels come out of a noise channel P(l | y) (`label_noise`). Its eps and the reader's temperature are those under which
the given labels are most likely, so a reader that is worth little says little and clean labels stay as they are.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from earlier_reader.noise import make_channel

TEMPERATURES = (
    *(0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9),
    *(1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 3.0, 5.0, 10.0, 1e3),
)
NOISE_RATES = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Calibration:
    """How to read a reader and the labels.

    Attributes:
        temperature: the reader's log-probabilities are divided by it.
        noise: share of labels that are any other class alike, eps.
        log_likelihood: of the given labels.
        confusions: [C, C], share of class y that is labelled l beyond that.
        frequencies_log_likelihood: of the given labels by how often each class occurs among them, without texts.
        num_labels: given labels.
    """

    temperature: float
    noise: float
    log_likelihood: float
    confusions: np.ndarray
    frequencies_log_likelihood: float
    num_labels: int

    @property
    def channel(self) -> np.ndarray:
        """P(l | y) as [y, l]."""
        return make_channel(self.noise, self.confusions)

    @property
    def num_confusions(self) -> int:
        """How many pairs of classes are confused."""
        return int((self.confusions > 0).sum())

    @property
    def share_wrong(self) -> float:
        """Share of wrong labels, mean over classes."""
        return float(1 - self.channel.diagonal().mean())

    @property
    def says_nothing(self) -> bool:
        """Whether texts make labels no likelier than the classes' frequencies do.

        Penalty, assumed noise, temperature and noise were chosen for it, and four numbers have their price (BIC).
        """
        return bool(self.log_likelihood - self.frequencies_log_likelihood <= 2 * np.log(self.num_labels))

    def apply(self, probabilities: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
        """The calibrated probabilities."""
        return _temper(probabilities, self.temperature)


def calibrate(
    probabilities: Float[np.ndarray, "N C"],
    labels: Int[np.ndarray, " N"],
    confusions: Float[np.ndarray, "C C"] | None = None,
) -> Calibration:
    """Finds temperature and label noise by maximum likelihood over a grid.

    Args:
        probabilities: of a reader that did not see the image's label.
        labels: given labels, -1 where there is none; at least one is given.
        confusions: see `Calibration`; none if not given.
    """
    labelled = np.flatnonzero(labels >= 0)
    given, num_classes = labels[labelled], probabilities.shape[1]
    confusions = np.zeros((num_classes, num_classes)) if confusions is None else confusions
    unconfused = 1 - confusions.sum(1)
    noise = np.array(NOISE_RATES)[:, None]
    by_chance = noise / (num_classes - 1)
    totals = np.empty((len(TEMPERATURES), len(NOISE_RATES)))
    for row, temperature in enumerate(TEMPERATURES):
        tempered = _temper(probabilities[labelled], temperature)
        # sum_y P(l | y) P(y), where all but the confusions is the same for every y other than l.
        right = tempered[np.arange(len(given)), given] * unconfused[given]
        confused = (tempered * confusions.T[given]).sum(1)
        likelihoods = by_chance * (tempered @ unconfused) + (1 - noise - by_chance) * right + confused
        totals[row] = np.log(likelihoods + 1e-12).sum(1)
    # Where texts say nothing, any noise is as likely as none: noise and temperature must earn their place (BIC), or
    # labels stay.
    cost = np.where(np.arange(len(NOISE_RATES)) > 0, np.log(len(given)), 0.0)
    best = np.unravel_index((totals - cost).argmax(), totals.shape)
    counts = np.bincount(given)[np.unique(given)]
    return Calibration(
        TEMPERATURES[best[0]],
        NOISE_RATES[best[1]],
        float(totals[best]),
        confusions,
        float((counts * np.log(counts / len(given))).sum()),
        len(given),
    )


def compute_posterior(
    probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"], channel: Float[np.ndarray, "C C"]
) -> Float[np.ndarray, "N C"]:
    """Bayes: P(y | text, label) in proportion to P(y | text) P(label | y); the text alone where there is no label.

    Args:
        probabilities: calibrated, of a reader that did not see the image's label.
        labels: given labels, -1 where there is none.
        channel: P(l | y) as [y, l].
    """
    labelled = np.flatnonzero(labels >= 0)
    of_label = np.ones_like(probabilities)
    of_label[labelled] = channel.T[labels[labelled]]
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

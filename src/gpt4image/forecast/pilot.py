"""What the texts of a pilot know about the classes, beyond the labels that are given."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gpt4image.label.posterior import compute_posterior, estimate_accuracy
from gpt4image.label.reader import read_texts, scale_features
from gpt4image.label.witness import Witness

FEWEST_LABELLED = 20
"""Below that many texts with a label nothing is measured."""
DROP = 1.92
"""Half the 95 % point of chi-squared, one degree of freedom: how far the log-likelihood falls within an interval."""


@dataclass(frozen=True)
class Share:
    """A share between 0 and 1 with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Pilot:
    """What a cross-fitted reader makes of the described images that have a label.

    Attributes:
        agreement: how often the reader, from other images' labels alone, names the given label (Wilson interval).
        chance: share of the most frequent label.
        contradicted: given labels that label and text together overrule (Wilson interval).
        noise: wrong labels, by the label model (interval by profile likelihood).
        accuracy: how often the reader is right, estimated; None if nearly all labels are wrong.
        labels_right: share of labels that are right after text and label are weighed together, estimated.
    """

    agreement: Share
    chance: float
    contradicted: Share
    noise: Share
    accuracy: float | None
    labels_right: float


def measure_pilot(
    embeddings: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    num_classes: int,
    class_embeddings: Float[np.ndarray, "C D"] | None,
    witness: Witness | None = None,
    seed: int = 0,
) -> Pilot | None:
    """Fits the reader that training would fit; None if fewer than 20 texts or 2 classes have a label.

    Args:
        embeddings: of the described images.
        labels: given labels, -1 where there is none.
        num_classes: C.
        class_embeddings: the embedded class names, or None.
        witness: see `read_texts`.
        seed: of the folds.
    """
    labelled = np.flatnonzero(labels >= 0)
    if len(labelled) < FEWEST_LABELLED or len(np.unique(labels[labelled])) < 2:
        return None
    features, class_features = scale_features(embeddings, class_embeddings)
    reading = read_texts(features, labels, num_classes, class_features, seed, witness)
    calibration = reading.calibration
    probabilities, given = reading.probabilities[labelled], labels[labelled]
    posterior = compute_posterior(probabilities, given, calibration.channel)
    return Pilot(
        agreement=wilson(int((probabilities.argmax(1) == given).sum()), len(given)),
        chance=float(np.bincount(given).max() / len(given)),
        contradicted=wilson(int((posterior.argmax(1) != given).sum()), len(given)),
        noise=_profile_noise(probabilities, given, calibration.share_wrong),
        accuracy=estimate_accuracy(probabilities, given, calibration.share_wrong),
        labels_right=float(posterior.max(1).mean()),
    )


def wilson(count: int, total: int) -> Share:
    """A proportion with Wilson's 95 % interval."""
    from scipy.stats import binomtest

    interval = binomtest(count, total).proportion_ci(method="wilson")
    return Share(count / total, float(interval.low), float(interval.high))


def _profile_noise(probabilities: np.ndarray, labels: np.ndarray, estimate: float) -> Share:
    """The range of label noise in which the labels' likelihood falls by no more than `DROP` below its highest.

    Args:
        probabilities: [n, C], calibrated, of a reader that did not see the image's label.
        labels: [n], all given.
        estimate: the label model's.
    """
    right = probabilities[np.arange(len(labels)), labels][:, None]
    noise = np.linspace(0, 0.9, 181)
    likelihood = np.log((1 - noise) * right + noise / (probabilities.shape[1] - 1) * (1 - right) + 1e-12).sum(0)
    within = noise[likelihood >= likelihood.max() - DROP]
    return Share(estimate, min(float(within[0]), estimate), max(float(within[-1]), estimate))

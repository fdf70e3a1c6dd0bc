"""What the texts and picks of a pilot are worth: they are weighed together with the labels that are given."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gpt4image.images import UNLABELLED
from gpt4image.label.weigh import Evidence, weigh

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

FEWEST_LABELLED = 20
"""Below that many described images with a label nothing is measured."""


@dataclass(frozen=True)
class Share:
    """A share of images, between 0 and 1, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Pilot:
    """What weighing says of the described images; every share is one of images, not a mean over classes.

    Attributes:
        witnesses: how often each set of texts or picks is right, estimated.
        agreement: how often the best of them, cross-fitted, names the given label (Wilson interval).
        chance: share of the most frequent label.
        noise: given labels that are wrong, estimated.
        contradicted: given labels that are overruled (Wilson interval).
        labels_right: labels that are right after weighing, of the images that had one, estimated.
    """

    witnesses: dict[str, Share]
    agreement: Share
    chance: float
    noise: Share
    contradicted: Share
    labels_right: Share

    @property
    def accuracy(self) -> float | None:
        """How often the best witness is right, estimated; None if no text or pick tells anything."""
        best = choose_best(self.witnesses)
        return self.witnesses[best].value if best else None


def measure_pilot(evidence: Evidence, seed: int = 0) -> Pilot | None:
    """Weighs the pilot as the label stage would; None if fewer than 20 images or 2 classes have a label.

    Args:
        evidence: about the described images.
        seed: of the folds.
    """
    labelled = np.flatnonzero(evidence.given != UNLABELLED)
    given = evidence.given[labelled]
    if len(labelled) < FEWEST_LABELLED or len(np.unique(given)) < 2:
        return None
    weighed = weigh(evidence, seed)
    found = weighed.reliability
    witnesses = {
        name: Share(facts["accuracy"], *facts["interval"])
        for name, facts in found["witnesses"].items()
        if facts["images"]
    }
    best = choose_best(witnesses)
    named = weighed.opinions[best][0][labelled] if best else np.full(len(given), UNLABELLED)
    return Pilot(
        witnesses=witnesses,
        agreement=wilson(int((named == given).sum()), len(given)),
        chance=float(np.bincount(given).max() / len(given)),
        noise=jeffreys((1 - found["labels"]["accuracy"]) * len(given), len(given)),
        contradicted=wilson(int((weighed.proposed[labelled] != given).sum()), len(given)),
        labels_right=jeffreys(float(weighed.values[labelled, 0].sum(dtype=np.float64)), len(given)),
    )


def choose_best(witnesses: dict[str, Share]) -> str | None:
    """The witness that is right most often at the low end of its interval."""
    return max(witnesses, key=lambda name: witnesses[name].low, default=None)


def find_described(evidence: Evidence) -> "Bool[np.ndarray, ' N']":
    """Which images have a text or a pick."""
    has = [texts.rows >= 0 for texts in evidence.texts] + [picks.first != UNLABELLED for picks in evidence.picks]
    return np.any([np.zeros(len(evidence.given), bool), *has], axis=0)


def take_images(evidence: Evidence, rows: "Int[np.ndarray, ' M']") -> Evidence:
    """What is known of some of the images by texts, picks, labels and people."""
    return replace(
        evidence,
        given=evidence.given[rows],
        picks=tuple(
            replace(one, first=one.first[rows], second=one.second[rows], confidence=one.confidence[rows])
            for one in evidence.picks
        ),
        texts=tuple(replace(one, rows=one.rows[rows]) for one in evidence.texts),
        images=None,
        gold=None if evidence.gold is None else evidence.gold[rows],
    )


def wilson(count: int, total: int) -> Share:
    """A proportion with Wilson's 95 % interval."""
    from scipy.stats import binomtest

    interval = binomtest(count, total).proportion_ci(method="wilson")
    return Share(count / total, float(interval.low), float(interval.high))


def jeffreys(count: float, total: int) -> Share:
    """A proportion of which the count is an expected one, with Jeffreys' 95 % interval (Brown et al. 2001).

    It speaks of the images drawn, and takes for granted what weighing found out about labels, texts and picks.
    """
    from scipy.stats import beta

    low, high = beta.ppf([0.025, 0.975], count + 0.5, total - count + 0.5)
    return Share(count / total, float(low) if count >= 0.5 else 0.0, float(high) if count <= total - 0.5 else 1.0)

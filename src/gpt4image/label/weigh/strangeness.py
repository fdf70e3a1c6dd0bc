"""Images of none of the classes: how strange an image is, and how probable that makes it that no class fits.

Strange is what lies no nearer to any class than to everything else (relative Mahalanobis distance; Ren et al., arXiv
2106.09022), in text and image features; what the witnesses do not agree about (entropy of the pool); and what the
describer found no class for. The probability comes from the labelled images, which show how strange images of the
classes are: of unlabelled ones as strange as that, those in excess are of no class (Efron's false discovery rate).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import betaincinv

from gpt4image.label.weigh.evidence import NO_LABEL, NONE_OF_THESE

NUM_COMPONENTS = 64
SHRINKAGE = 0.1
MISSING_IF_NONE = 0.8
"""How often a describer names no class of the list if none fits."""
LEAST_KNOWN = 20
CERTAINTY = 0.95
"""With which more images are strange than those of the classes may be."""
LARGEST_SHARE = 0.03
"""Of images of the classes that are called open at most."""


class ClassShapes:
    """Gaussians of the classes, with one covariance, beside a Gaussian of everything."""

    def __init__(self, points: Float[np.ndarray, "N K"], belief: Float[np.ndarray, "N C"]) -> None:
        points = points[:, :NUM_COMPONENTS].astype(np.float64)
        sizes = belief.sum(0)
        total = sizes.sum()
        self.center = (belief.sum(1) @ points) / total
        self.means = belief.T @ points / (sizes[:, None] + 1e-6)
        deviations = points - self.center
        whole = (deviations * belief.sum(1)[:, None]).T @ deviations / total
        between = ((self.means - self.center).T * sizes) @ (self.means - self.center) / total
        self.whole, self.within = _invert(whole), _invert(whole - between)

    def measure(self, points: Float[np.ndarray, "N K"]) -> Float[np.ndarray, " N"]:
        """Distance to the nearest class less distance to the middle of everything."""
        points = points[:, :NUM_COMPONENTS].astype(np.float64)
        own = points @ self.within
        nearest = (((self.means @ self.within) * self.means).sum(1) - 2 * own @ self.means.T).min(1)
        nearest += (own * points).sum(1)
        deviations = points - self.center
        return nearest - ((deviations @ self.whole) * deviations).sum(1)


def _invert(covariance: np.ndarray) -> np.ndarray:
    """The inverse, of what varies; where nothing does, nothing is strange."""
    size = len(covariance)
    if not np.trace(covariance) > 0:
        return np.zeros_like(covariance)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / size * np.eye(size)
    return np.linalg.inv(shrunk)


def combine_strangeness(
    measures: Sequence[Float[np.ndarray, " N"]],
    picked: Sequence[Int[np.ndarray, " N"]],
    known: Bool[np.ndarray, " N"],
) -> Float[np.ndarray, " N"]:
    """One number an image: measures in standard deviations of known images, missing picks in nats; added.

    Args:
        measures: larger is stranger; nan where there is none.
        picked: the classes that each describer named, see `Picks.first`.
        known: images of the classes.
    """
    known = known if known.sum() >= LEAST_KNOWN else np.ones(len(known), dtype=bool)
    total = np.zeros(len(known))
    for measure in measures:
        middle, spread = np.nanmedian(measure[known]), np.nanstd(measure[known])
        total += np.nan_to_num((measure - middle) / (spread + 1e-9))
    for first in picked:
        asked, none = first != NO_LABEL, first == NONE_OF_THESE
        usual = ((none & known).sum() + 0.5) / ((asked & known).sum() + 1)
        found = np.where(none, np.log(MISSING_IF_NONE / usual), np.log((1 - MISSING_IF_NONE) / (1 - usual)))
        total += np.where(asked, found, 0)
    return total


def estimate_none(
    strangeness: Float[np.ndarray, " N"], known: Bool[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " N"], float]:
    """Probability that an image is of no class, and the strangeness above which it is called open.

    Without known images those of no class are taken to be few: everything shows how strange images usually are.
    """
    null = np.sort(strangeness[known] if known.sum() >= LEAST_KNOWN else strangeness)
    asked = ~known if (~known).any() else np.ones(len(known), dtype=bool)
    pile = np.sort(strangeness[asked])
    expected = _tail(null, pile)
    observed = (len(pile) - np.arange(len(pile))) / len(pile)
    excess = np.clip(1 - expected / observed, 0, 1)
    excess = np.maximum.accumulate(excess)
    probability = np.interp(strangeness, pile, excess)
    probability[known] = 0
    allowed = np.flatnonzero(_tail(null, null) <= LARGEST_SHARE)
    return probability.astype(np.float32), float(null[allowed[0]] if len(allowed) else null[-1])


def _tail(null: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share of images of the classes at least as strange: the most that the known ones allow (Clopper and Pearson)."""
    stranger = len(null) - np.searchsorted(null, at)
    return np.where(stranger < len(null), betaincinv(stranger + 1, np.maximum(len(null) - stranger, 1), CERTAINTY), 1.0)

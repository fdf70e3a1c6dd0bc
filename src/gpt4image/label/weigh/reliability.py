"""How reliable each witness and the given labels are, over images and not over classes, with 95 % intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import betaincinv

from gpt4image.label.weigh.evidence import Evidence
from gpt4image.label.weigh.hypothesis import Hypothesis

LEAST_CONFUSED = 3.0
"""Expected images below which a confusion is not told."""
LEAST_JUDGED = 30
"""Labelled images below which nothing is said about a witness or the labels."""
LEAST_APART = 10.0
"""Nats between hypotheses below which the choice is called nearly undecided."""
ALIKE = 0.35
"""Mean probability of another class from which on two classes count as not told apart."""
MOST_PAIRED = 200
"""Classes above which pairs are not listed."""


def estimate_accuracy(named: Int[np.ndarray, " N"], belief: Float[np.ndarray, "N C"]) -> dict[str, Any]:
    """Expected share right of what a witness named; -1 where it named nothing.

    Returns:
        `accuracy` and `interval` over images, `images`, and the same per class of what was named (`classes`).
    """
    num_classes = belief.shape[1]
    chosen = np.flatnonzero(named >= 0)
    right = belief[chosen, named[chosen]].astype(np.float64)
    per_right = np.bincount(named[chosen], right, num_classes)
    per_count = np.bincount(named[chosen], minlength=num_classes)
    classes = [_interval(float(r), n) for r, n in zip(per_right, per_count.tolist(), strict=True)]
    return {**_interval(float(right.sum()), len(chosen)), "classes": classes}


def _interval(right: float, count: int) -> dict[str, Any]:
    """Mean and equal-tailed interval of a uniform prior's posterior; the count of right ones may be a fraction."""
    low, high = betaincinv(right + 1, count - right + 1, [0.025, 0.975])
    return {"accuracy": right / count if count else None, "interval": [float(low), float(high)], "images": int(count)}


def find_confusions(labels: Int[np.ndarray, " N"], belief: Float[np.ndarray, "N C"]) -> list[dict[str, Any]]:
    """Pairs (class, label) with the expected number of images of the class that have the label, the most first."""
    num_classes = belief.shape[1]
    counts = np.zeros((num_classes, num_classes))
    labelled = labels >= 0
    for label in np.unique(labels[labelled]):
        counts[:, label] = belief[labels == label].sum(0)
    np.fill_diagonal(counts, 0)
    pairs = np.argwhere(counts >= LEAST_CONFUSED)
    found = [{"class": int(y), "labelled": int(label), "images": float(counts[y, label])} for y, label in pairs]
    return sorted(found, key=lambda one: -one["images"])


def list_unknown(
    evidence: Evidence, labels: Int[np.ndarray, " n"], found: Mapping[str, Hypothesis], chosen: Hypothesis
) -> list[str]:
    """Plain sentences: what nobody can tell from this evidence. Classes are named by their numbers.

    Args:
        evidence: of all images.
        labels: of the images that were fitted on; -1 where there is none.
        found: hypotheses about the labels, by name.
        chosen: the one that is believed.
    """
    said = []
    labelled = labels >= 0
    others = {name: one for name, one in chosen.opinions.items() if not name.startswith("names:")}
    if chosen.problem.image_weight is not None:
        source = "picks" if chosen.problem.picks else "texts"
        said.append(f"Many {source} are wrong by image features, which were believed: look at some of these images.")
    elif not labelled.any():
        said.append("Without labels, systematic errors of picks and texts cannot be seen.")
    if 0 < labelled.sum() < LEAST_JUDGED:
        said.append(f"{labelled.sum()} labels are too few to judge labels by: they are taken to be right.")
    if labelled.any() and len(others) == 1:
        (name,) = others
        said.append(f"{name} is the only witness beside the labels: wrong labels cannot be told from its own errors.")
    for name, one in others.items():
        heard = int((labelled & (np.ptp(one, axis=1) > 0)).sum())
        if labelled.any() and heard < LEAST_JUDGED:
            said.append(f"{name} speaks of {heard} labelled images, too few to judge it by: it has its usual weight.")
    rivals = [one for one in found.values() if not one.refuted and (one.kind == "clean") != (chosen.kind == "clean")]
    if rivals and chosen.score - max(one.score for one in rivals) < LEAST_APART:
        said.append("Whether labels or witnesses are wrong where they differ is nearly undecided here.")
    if any(one.refuted and one.kind == "by sight" and one.score > chosen.score for one in found.values()):
        said.append(
            "Labels and witnesses differ most on images that are hard to tell, and either may be wrong there: look at "
            "some of these images yourself."
        )
    if (missing := np.setdiff1d(np.arange(evidence.num_classes), chosen.belief.argmax(1))).size:
        said.append(f"No image is taken for class {', '.join(map(str, missing[:20]))}.")
    return said + _list_alike(chosen)


def _list_alike(chosen: Hypothesis) -> list[str]:
    """Pairs of classes that the witnesses leave open where they name either."""
    pooled = np.exp(chosen.pooled)
    best = pooled.argmax(1)
    said = []
    for one in range(pooled.shape[1]) if pooled.shape[1] <= MOST_PAIRED else ():
        mean = pooled[best == one].mean(0) if (best == one).any() else np.zeros(pooled.shape[1])
        mean[one] = 0
        if mean.max() > ALIKE:
            said.append(f"Witnesses hardly tell class {one} from class {mean.argmax()}: look at these images yourself.")
    return said

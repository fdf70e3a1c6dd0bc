"""A map of image features: the two directions in which they vary most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup

from gpt4image.report import svg

NUM_COLOURS = 10


@dataclass(frozen=True)
class FeatureMap:
    """The picture of one model's features, and two figures about them.

    Attributes:
        arm: whose features.
        picture: dots coloured by class.
        explained: share of the variance that the two axes show.
        neighbour_same_class: share of images whose nearest neighbour among all features has their class.
    """

    arm: str
    picture: Markup
    explained: float
    neighbour_same_class: float


def compute_pca(features: Float[np.ndarray, "n f"]) -> tuple[Float[np.ndarray, "n 2"], float]:
    """The first two principal components of the features, and the share of variance they hold."""
    centred = features - features.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * sizes[:2], float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-12))


def compute_neighbour_agreement(features: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"]) -> float:
    """Share of images whose nearest other image, by cosine similarity, has the same class."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return float((labels[similarity.argmax(1)] == labels).mean())


def choose_classes(labels: Int[np.ndarray, " n"]) -> list[int]:
    """The classes that get a colour of their own: the most frequent ones, in label order."""
    counts = np.bincount(labels)
    return sorted(np.argsort(-counts, kind="stable")[:NUM_COLOURS][: int((counts > 0).sum())].tolist())


def draw_map(
    arm: str, features: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], classes: Sequence[str]
) -> FeatureMap:
    """Draws one map; classes beyond the most frequent ten are grey."""
    places, explained = compute_pca(features)
    low, high = places.min(0), places.max(0)
    axes = svg.Axes((low[0], high[0]), (low[1], high[1]), height=320)
    coloured = choose_classes(labels)
    body = svg.points(axes, places[~np.isin(labels, coloured)], "c-other")
    for colour, label in enumerate(coloured):
        body += svg.points(axes, places[labels == label], f"c{colour}")
    agreement = compute_neighbour_agreement(features, labels)
    description = (
        f"{len(labels)} test images on the two main axes of their features, {100 * explained:.0f} % of the variance; "
        f"the nearest neighbour of {100 * agreement:.0f} % has the same class."
    )
    return FeatureMap(arm, svg.draw(axes, f"Features of {arm}", description, body), explained, agreement)

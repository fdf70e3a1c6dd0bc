"""A map of image features: the two directions in which they vary most, or UMAP."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup

from gpt4image.report.charts import svg

Layout = Literal["pca", "umap"]

NUM_COLOURS = 10


@dataclass(frozen=True)
class FeatureMap:
    """The picture of one model's features, and two figures about them.

    Attributes:
        arm: whose features.
        picture: dots coloured by class.
        explained: share of the variance that the two axes show; None for UMAP, whose axes mean nothing.
        neighbour_same_class: share of images whose nearest neighbour among all features has their class.
    """

    arm: str
    picture: Markup
    explained: float | None
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


def align(places: Float[np.ndarray, "n 2"], reference: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Turns and mirrors places so that they lie nearest to the reference (orthogonal Procrustes problem): the axes of
    a principal component analysis have no sign, and two maps shall be comparable."""
    left, _, right = np.linalg.svd(places.T @ reference)
    return places @ (left @ right)


def compute_umap(features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n 2"]:
    """Uniform manifold approximation (McInnes et al., arXiv 1802.03426) by cosine distance; the same at every call."""
    import umap

    neighbours = max(2, min(15, len(features) - 1))
    return umap.UMAP(n_neighbors=neighbours, metric="cosine", random_state=0, n_jobs=1).fit_transform(features)


def draw_maps(
    features: Mapping[str, Float[np.ndarray, "n f"]], labels: Int[np.ndarray, " n"], layout: Layout = "pca"
) -> list[FeatureMap]:
    """Draws the features of several arms on the same images, all turned like the first."""
    maps: list[FeatureMap] = []
    reference: np.ndarray | None = None
    for arm, found in features.items():
        places, explained = compute_pca(found) if layout == "pca" else (compute_umap(found), None)
        places = places - places.mean(0)
        reference = places if reference is None else reference
        agreement = compute_neighbour_agreement(found, labels)
        axes = "laid out by UMAP" if explained is None else "on the two main axes of their features"
        variance = "" if explained is None else f", {100 * explained:.0f} % of the variance"
        description = (
            f"{len(labels)} test images {axes}{variance}; the nearest neighbour of {100 * agreement:.0f} % has "
            "the same class."
        )
        picture = _draw(f"Features of {arm}", description, align(places, reference), labels)
        maps.append(FeatureMap(arm, picture, explained, agreement))
    return maps


def _draw(title: str, description: str, places: np.ndarray, labels: np.ndarray) -> Markup:
    """One map; classes beyond the most frequent ten are grey, and the few outermost dots are drawn at the edge."""
    low, high = np.percentile(places, [1, 99], axis=0)
    margin = 0.08 * (high - low)
    low, high = low - margin, high + margin
    axes = svg.Axes((low[0], high[0]), (low[1], high[1]), height=320)
    places, coloured = places.clip(low, high), choose_classes(labels)
    body = svg.points(axes, places[~np.isin(labels, coloured)], "c-other")
    for colour, label in enumerate(coloured):
        body += svg.points(axes, places[labels == label], f"c{colour}")
    return svg.draw(axes, title, description, body)

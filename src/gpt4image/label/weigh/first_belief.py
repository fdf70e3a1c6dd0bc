"""What is believed before any label has been weighed: by picks, or else by embedded class names and clusters of texts.

Class names: cosine similarity of a text with each name, centred over the texts; classes are balanced to given shares by
Sinkhorn and Knopp's iteration, which takes away that some names are near to every text.

Clusters: a mixture of one spherical Gaussian a class over all texts, since images without a label lie in clusters.
Expectation-maximisation in the leading principal components, each scaled to the square root of its standard deviation
(neither whitened nor dominated by the first few). Shares of the classes and the variance are estimated. It starts from
what class names or a few labels say, and is only a belief to begin with: what follows has to make labels, or images,
likelier than it would be without (`weigh`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from gpt4image.label.weigh.evidence import Picks
from gpt4image.label.weigh.log_space import normalise_logs
from gpt4image.label.weigh.prepare import Problem

TEMPERATURE = 0.05
NUM_BALANCING = 30
MOST_CELLS = 1_000_000
"""Texts times classes that are balanced; a regular choice of more."""
NUM_COMPONENTS = 64
NUM_ITERATIONS = 15
NUM_ASSUMED = 5.0
"""Images by which equal shares count for each class."""
PICK_RIGHT = 0.9
"""Belief in a pick before anything is known about the describer."""


@dataclass(frozen=True)
class NameReader:
    """Attributes:
    class_vectors: [C, D], of norm 1.
    offsets: [C], added to the scaled similarities.
    """

    class_vectors: Float[np.ndarray, "C D"]
    offsets: Float[np.ndarray, " C"]

    def read(self, vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N C"]:
        """Logits."""
        return _similarity(vectors, self.class_vectors) / TEMPERATURE + self.offsets


def fit_name_reader(
    vectors: Float[np.ndarray, "N D"], class_vectors: Float[np.ndarray, "C D"], shares: Float[np.ndarray, " C"]
) -> NameReader:
    """Balances the classes so that their mean probabilities are `shares`."""
    names = class_vectors.astype(np.float32)
    names = names / np.linalg.norm(names, axis=1, keepdims=True)
    few = vectors[:: -(-len(vectors) * len(names) // MOST_CELLS) or 1]
    similarity = _similarity(few, names) / TEMPERATURE
    offsets = -similarity.mean(0)
    for _ in range(NUM_BALANCING):
        logits = similarity + offsets
        odds = np.exp(logits - logits.max(1, keepdims=True))
        offsets = offsets + np.log(shares + 1e-9) - np.log((odds / odds.sum(1, keepdims=True)).mean(0) + 1e-9)
    return NameReader(names, offsets.astype(np.float32))


def _similarity(vectors: np.ndarray, names: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors @ names.T / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def find_clusters(
    points: Float[np.ndarray, "N K"], start: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N C"]:
    """Class probabilities by the mixture.

    Args:
        points: principal components, the largest first.
        start: what is believed at first.
        labels: given labels, which are kept; -1 where there is none.
    """
    labelled, num_classes = labels >= 0, start.shape[1]
    belief = start.copy()
    belief[labelled] = np.eye(num_classes)[labels[labelled]]
    points = points[:, :NUM_COMPONENTS].astype(np.float64)
    if not points.std(0).any():
        return belief  # A single text, or texts that are all the same.
    points = points / np.sqrt(points.std(0) + 1e-6)
    points /= np.sqrt((points**2).sum(1).mean())
    squares = (points**2).sum(1, keepdims=True)
    for _ in range(NUM_ITERATIONS):
        sizes = belief.sum(0)
        means = belief.T @ points / (sizes[:, None] + 1e-9)
        distances = squares - 2 * points @ means.T + (means**2).sum(1)
        variance = float((belief * distances).sum() / (belief.sum() * points.shape[1]))
        shares = (sizes + NUM_ASSUMED) / (sizes.sum() + NUM_ASSUMED * num_classes)
        belief = np.exp(normalise_logs(np.log(shares) - distances / (2 * max(variance, 1e-9))))
        belief[labelled] = np.eye(num_classes)[labels[labelled]]
    return belief


def list_first_beliefs(problem: Problem) -> dict[str, Float[np.ndarray, "N C"]]:
    """What is believed of each image without labels, by describer; zeros where it said nothing.

    By picks, or else by class names and clusters of the texts of each prompt.
    """
    told = {}
    for picks in problem.picks:
        has = np.flatnonzero(picks.first >= 0)
        belief = _say_nothing(problem)
        belief[has] = (1 - PICK_RIGHT) / problem.num_classes
        belief[has, picks.first[has]] += PICK_RIGHT
        told[picks.name] = belief
    if problem.picks:
        return told
    uniform = np.full(problem.num_classes, 1 / problem.num_classes)
    for name, vectors in problem.texts.items():
        has = problem.present[name]
        reader = fit_name_reader(vectors[has], problem.class_vectors[name], uniform)
        by_name = np.exp(normalise_logs(reader.read(vectors[has])))
        belief = _say_nothing(problem)
        belief[has] = (by_name + find_clusters(problem.points[name][has, :-1], by_name, problem.labels[has])) / 2
        told[name] = belief
    return told


def _say_nothing(problem: Problem) -> Float[np.ndarray, "N C"]:
    shape = len(problem.labels), problem.num_classes
    return np.zeros(shape, np.float64 if np.prod(shape) <= MOST_CELLS else np.float32)


def find_first_belief(
    problem: Problem, told: Mapping[str, Float[np.ndarray, "N C"]]
) -> tuple[Float[np.ndarray, "N C"], Bool[np.ndarray, " N"]]:
    """What is believed of each image, and of which ones anything is: the mean over the describers who spoke of it."""
    belief = _say_nothing(problem)
    for one in told.values():
        belief += one
    totals = belief.sum(1, keepdims=True)
    return belief / np.maximum(totals, 1e-9), totals[:, 0] > 0


def list_claims(problem: Problem) -> list[Picks]:
    """Picks, or else the classes whose names are nearest to the texts: said before anything was believed."""
    if problem.picks:
        return list(problem.picks)
    nothing = np.full(len(problem.labels), -1)
    unsure = np.full(len(nothing), np.nan, np.float32)
    uniform = np.full(problem.num_classes, 1 / problem.num_classes)
    claims = []
    for name, vectors in problem.texts.items():
        has = problem.present[name]
        reader = fit_name_reader(vectors[has], problem.class_vectors[name], uniform)
        claims.append(Picks(name, np.where(has, reader.read(vectors).argmax(1), -1), nothing, unsure))
    return claims

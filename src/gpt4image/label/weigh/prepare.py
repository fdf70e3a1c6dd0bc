"""Evidence as arrays to fit on: some of the images, vectors as components, images in folds."""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import eigh

from gpt4image.label.weigh.evidence import NONE_OF_THESE, Evidence, Picks, Vectors
from gpt4image.label.weigh.pool import USUAL_WEIGHTS
from gpt4image.label.weigh.regression import NUM_FOLDS

MOST_FIT = 20_000
"""Images that are fitted on; a random choice of more, half of them labelled if so many are."""
MOST_COMPONENTS = 256


@dataclass(frozen=True)
class Components:
    """A projection onto principal components.

    Attributes:
        mean: [D].
        directions: [D, K], scaled so that projected points have a mean squared norm of 1.
    """

    mean: Float[np.ndarray, " D"]
    directions: Float[np.ndarray, "D K"]

    def project(self, vectors: np.ndarray) -> Float[np.ndarray, "N K1"]:
        """Projected vectors, with a last column of ones for the bias."""
        points = (vectors.astype(np.float32) - self.mean) @ self.directions
        return np.hstack([points, np.ones((len(points), 1), np.float32)])


@dataclass(frozen=True)
class Problem:
    """Some images, prepared.

    Attributes:
        num_classes: C.
        labels: int64 [N], -1 where there is none.
        folds: int64 [N].
        picks: of each describer.
        points: components of the texts of each prompt and of the images, by name: [N, K + 1].
        present: which images have them, by name: bool [N].
        kinds: "text" or "image", by name.
        texts: vectors of each prompt that has embedded class names, by name: [N, D].
        class_vectors: [C, D], by the same names.
        gold: bool [N], labels given by a person who was asked; these are right.
        image_weight: of image features beforehand, where they have shown that describers err; None for the usual one.
    """

    num_classes: int
    labels: Int[np.ndarray, " N"]
    folds: Int[np.ndarray, " N"]
    picks: tuple[Picks, ...]
    points: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    kinds: Mapping[str, str]
    texts: dict[str, np.ndarray]
    class_vectors: dict[str, np.ndarray]
    gold: Bool[np.ndarray, " N"]
    image_weight: float | None = None

    @property
    def image(self) -> str | None:
        """Name of the image features."""
        return next((name for name, kind in self.kinds.items() if kind == "image"), None)

    @property
    def usual_weights(self) -> dict[str, float]:
        """Weights beforehand, by witness; several of a kind share theirs."""
        weights = {}
        texts = [name for name, kind in self.kinds.items() if kind == "text"]
        for pick in self.picks:
            weights[f"pick:{pick.name}"] = USUAL_WEIGHTS["picks"] / len(self.picks) ** 0.5
        for name, kind in self.kinds.items():
            weights[name] = USUAL_WEIGHTS[kind] / (len(texts) ** 0.5 if kind == "text" else 1)
        for name in self.class_vectors:
            weights[f"names:{name}"] = USUAL_WEIGHTS["names"] / len(self.class_vectors) ** 0.5
        if self.image is not None and self.image_weight is not None:
            weights[self.image] = self.image_weight
        return weights


@dataclass(frozen=True)
class Prepared:
    """Attributes:
    problem: the images that are fitted on.
    rows: int64, which ones.
    components: of each block of vectors, by name.
    """

    problem: Problem
    rows: Int[np.ndarray, " n"]
    components: dict[str, Components]


def list_blocks(evidence: Evidence) -> list[Vectors]:
    """Texts and image features."""
    return [*evidence.texts, *([evidence.images] if evidence.images is not None else [])]


def read_labels(evidence: Evidence) -> tuple[Int[np.ndarray, " N"], np.ndarray]:
    """Labels with a person's answers in their place, and which are such answers."""
    if evidence.gold is None:
        return evidence.given, np.zeros(len(evidence.given), bool)
    labels = np.where(evidence.gold >= 0, evidence.gold, evidence.given)
    return np.where(evidence.gold == NONE_OF_THESE, -1, labels), evidence.gold >= 0


def prepare(evidence: Evidence, seed: int, most: int = MOST_FIT) -> Prepared:
    """Chooses images to fit on and finds the components of their vectors."""
    rows = choose_rows(evidence, seed, most)
    given, by_person = read_labels(evidence)
    points, present, kinds, texts, class_vectors, components = {}, {}, {}, {}, {}, {}
    for block in list_blocks(evidence):
        has = block.rows[rows] >= 0
        if not has.any():
            continue
        vectors = take_vectors(block, rows)
        components[block.name] = find_components(vectors[has])
        points[block.name] = components[block.name].project(vectors)
        present[block.name], kinds[block.name] = has, block.kind
        if block.kind == "text" and block.class_vectors is not None:
            texts[block.name], class_vectors[block.name] = vectors, block.class_vectors
    folds = assign_folds(given[rows], seed)
    picks = tuple(take_picks(one, rows) for one in evidence.picks)
    problem = Problem(
        evidence.num_classes, given[rows], folds, picks, points, present, kinds, texts, class_vectors, by_person[rows]
    )
    return Prepared(problem, rows, components)


def take_vectors(block: Vectors, rows: np.ndarray) -> np.ndarray:
    """Vectors of some images, float32; of images without one, any. What a memory map has read leaves memory again."""
    vectors = np.asarray(block.vectors[np.maximum(block.rows[rows], 0)], dtype=np.float32)
    if isinstance(block.vectors.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        block.vectors.base.madvise(mmap.MADV_DONTNEED)
    return vectors


def take_picks(picks: Picks, rows: np.ndarray) -> Picks:
    """Picks of some images."""
    return Picks(picks.name, picks.first[rows], picks.second[rows], picks.confidence[rows])


def choose_rows(evidence: Evidence, seed: int, most: int) -> np.ndarray:
    """At most `most` images, ascending; none of which a person said that they are of no class."""
    labels, _ = read_labels(evidence)
    allowed = np.ones(len(labels), bool) if evidence.gold is None else evidence.gold != NONE_OF_THESE
    if allowed.sum() <= most:
        return np.flatnonzero(allowed)
    rng = np.random.default_rng([seed, 11])
    labelled, others = (rng.permutation(np.flatnonzero(allowed & one)) for one in (labels >= 0, labels < 0))
    num_labelled = min(len(labelled), max(most // 2, most - len(others)))
    return np.sort(np.concatenate([labelled[:num_labelled], others[: most - num_labelled]]))


def assign_folds(labels: Int[np.ndarray, " N"], seed: int) -> Int[np.ndarray, " N"]:
    """Fold of each image; every class of labels is spread evenly."""
    order = np.random.default_rng([seed, 10]).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % NUM_FOLDS
    return folds


def find_components(vectors: Float[np.ndarray, "N D"], most: int = MOST_COMPONENTS) -> Components:
    """Finds at most `most` components; vectors are centred, components are not whitened."""
    vectors = vectors.astype(np.float32)
    mean = vectors.mean(0)
    centred = vectors - mean
    covariance = centred.T @ centred / len(centred)
    size = vectors.shape[1]
    count = min(most, len(vectors) - 1, size)
    scale = np.sqrt(max(float(np.trace(covariance)), 1e-12))
    if count < 1:
        return Components(mean, np.zeros((size, 0), np.float32))
    directions = eigh(covariance, subset_by_index=(size - count, size - 1))[1]
    return Components(mean, (directions[:, ::-1] / scale).astype(np.float32))

"""The images have the casting vote where texts and labels disagree systematically.

If texts that read as class y often carry the label l, either those labels are wrong or those texts are. The pictures
tell which: a linear classifier of small images learns y from l where text and label agree, and votes on the contested
ones. One vote is worth little, but all contested images of a pair of classes share one answer.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from gpt4image.images import ImageSet

SIDE = 32
"""Of the images looked at, in pixels."""
CELLS = 8
"""Cells across and down, each with its mean colour and a histogram of the directions of its edges."""
DIRECTIONS = 8
MOST = 300
"""Images of each kind that are looked at."""
LEAST = 5
"""Images of each class on which text and label agree; with fewer there is nothing to learn from."""


@dataclass
class Witness:
    """Compares contested images with those of two classes.

    Attributes:
        images: the image set.
        positions: int64 [N], the images that are asked about; the others are never read.
        seed: of the choice among many images.
    """

    images: ImageSet
    positions: np.ndarray
    seed: int = 0
    _features: dict[int, np.ndarray] = field(default_factory=dict)

    def weigh(
        self, of_first: Int[np.ndarray, " A"], of_second: Int[np.ndarray, " B"], contested: Int[np.ndarray, " K"]
    ) -> float:
        """Log-odds, in nats, that the contested images are of the first class rather than the second.

        They are minus infinity if there are too few images to learn from.

        Args:
            of_first: indices into `positions` of images of the first class.
            of_second: of the second class.
            contested: of the images that are all of the one or all of the other.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if min(len(of_first), len(of_second)) < LEAST:
            return -np.inf
        first, second, third = (self._look(indices) for indices in (of_first, of_second, contested))
        features, is_first = np.concatenate([first, second]), np.arange(len(first) + len(second)) < len(first)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, class_weight="balanced"))
        held_out = cross_val_predict(classifier, features, is_first, cv=LEAST)
        vote_if_first, vote_if_second = _smooth_mean(held_out[is_first]), _smooth_mean(held_out[~is_first])
        votes = classifier.fit(features, is_first).predict(third)
        odds = np.where(votes, vote_if_first / vote_if_second, (1 - vote_if_first) / (1 - vote_if_second))
        return float(np.log(odds).sum())

    def _look(self, indices: np.ndarray) -> np.ndarray:
        """Features [<= MOST, F] of some images."""
        if len(indices) > MOST:
            indices = np.random.default_rng([self.seed, 14]).choice(indices, MOST, replace=False)
        return np.stack([self._read(int(self.positions[index])) for index in indices])

    def _read(self, image: int) -> np.ndarray:
        from PIL.Image import Resampling

        if image not in self._features:
            decoded = self.images.decode(image, draft_size=(2 * SIDE, 2 * SIDE))
            small = np.asarray(decoded.resize((SIDE, SIDE), Resampling.BOX), dtype=np.float32) / 255
            self._features[image] = np.concatenate([_mean_of_cells(small).ravel(), describe_edges(small.mean(2))])
        return self._features[image]


def describe_edges(grey: Float[np.ndarray, "H W"]) -> Float[np.ndarray, " F"]:
    """Histograms of oriented gradients (Dalal & Triggs, CVPR 2005), one a cell, each of norm below 1.

    Directions are unsigned and split between the two nearest bins.

    Args:
        grey: pixels from 0 to 1; the sides are multiples of `CELLS`.
    """
    down, across = np.gradient(grey)
    strength = np.hypot(across, down)
    position = (np.arctan2(down, across) % np.pi) / np.pi * DIRECTIONS
    share = position % 1
    lower = np.eye(DIRECTIONS)[position.astype(int) % DIRECTIONS]
    upper = np.roll(lower, 1, axis=2)
    histograms = _mean_of_cells(strength[..., None] * ((1 - share)[..., None] * lower + share[..., None] * upper))
    norms = np.sqrt((histograms**2).sum(2, keepdims=True))
    return (histograms / (norms + 0.1 * norms.mean() + 1e-6)).ravel()


def _mean_of_cells(pixels: np.ndarray) -> np.ndarray:
    """[CELLS, CELLS, K] from [H, W, K]."""
    height, width, depth = pixels.shape
    return pixels.reshape(CELLS, height // CELLS, CELLS, width // CELLS, depth).mean((1, 3))


def _smooth_mean(votes: np.ndarray) -> float:
    return float((votes.sum() + 1) / (len(votes) + 2))

"""Text embeddings by image, gathered from the memory map."""

import numpy as np
from jaxtyping import Float, Int

from gpt4image.embed.join import TextIndex
from gpt4image.embed.table import EmbeddingTable

SAMPLE = 65_536
"""Rows from which mean and covariance of a large table are estimated."""


class TextEmbeddings:
    """The embedding of each image's description; if it has several, their mean, as long as they are on average.

    A mean of directions is shorter than they are, so that an objective on raw products (`textteacher`) and centring
    would take images with several texts for less certain ones. One text drawn a step teaches no more than the mean
    (docs/experiments.md).

    Args:
        table: the table.
        index: rows of each image.
        centring: `mean` subtracts the mean over the table (TextTeacher, arXiv 2605.22098, section 3), `whiten` also
            rotates and scales to unit covariance (ZCA), so that no direction dominates; `none` does nothing.
    """

    def __init__(self, table: EmbeddingTable, index: TextIndex, centring: str = "none") -> None:
        self._vectors, self._index = table.vectors, index
        self._mean: np.ndarray | None = None
        self._whitening: np.ndarray | None = None
        if centring != "none":
            step = max(1, -(-len(index.rows) // SAMPLE))
            sample = self._vectors[np.sort(index.rows[::step])].astype(np.float32)
            self._mean = sample.mean(0)
            self._whitening = _compute_whitening(sample - self._mean) if centring == "whiten" else None

    @property
    def dimension(self) -> int:
        """Width D of the embeddings."""
        return int(self._vectors.shape[1])

    def has_text(self) -> np.ndarray:
        """bool [N], whether each image has a description."""
        return self._index.count > 0

    def gather(self, images: Int[np.ndarray, "B"]) -> Float[np.ndarray, "B D"]:
        """Embeddings of some images; zero for those without description."""
        count = self._index.count[images]
        result = np.zeros((len(images), self.dimension), dtype=np.float32)
        has = np.flatnonzero(count)
        rows = self._index.rows[self._index.start[images[has]]]
        result[has] = self._vectors[rows]
        for place in np.flatnonzero(count > 1):
            result[place] = _average(self._vectors[self._index.of(int(images[place]))].astype(np.float32))
        if self._mean is not None:
            result[has] -= self._mean
        if self._whitening is not None:
            result[has] = result[has] @ self._whitening
        return result


def _average(vectors: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "D"]:
    """Their mean, scaled to the mean of their lengths."""
    mean = vectors.mean(0)
    return mean * (np.linalg.norm(vectors, axis=1).mean() / max(float(np.linalg.norm(mean)), 1e-12))


def _compute_whitening(centred: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "D D"]:
    """ZCA: the symmetric matrix that turns the covariance of `centred` into the identity.

    Directions in which the texts hardly differ are kept from being blown up: their variance counts as at least
    1 % of the mean variance.
    """
    covariance = centred.T.astype(np.float64) @ centred / len(centred)
    values, vectors = np.linalg.eigh(covariance)
    floor = 0.01 * values.mean()
    return ((vectors / np.sqrt(np.maximum(values, floor))) @ vectors.T).astype(np.float32)

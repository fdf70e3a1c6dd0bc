"""What embedded class names say about texts, without any label.

Cosine similarity of a text with each name, centred over the texts; classes are balanced to given shares by Sinkhorn and
Knopp's iteration, which takes away that some names are near to every text.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

TEMPERATURE = 0.05
NUM_BALANCING = 30


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
    similarity = _similarity(vectors, names) / TEMPERATURE
    offsets = -similarity.mean(0)
    for _ in range(NUM_BALANCING):
        logits = similarity + offsets
        odds = np.exp(logits - logits.max(1, keepdims=True))
        offsets = offsets + np.log(shares + 1e-9) - np.log((odds / odds.sum(1, keepdims=True)).mean(0) + 1e-9)
    return NameReader(names, offsets.astype(np.float32))


def _similarity(vectors: np.ndarray, names: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors @ names.T / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)

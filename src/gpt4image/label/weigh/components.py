"""Leading principal components of vectors, found on some and applied to any."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

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


def find_components(vectors: Float[np.ndarray, "N D"], most: int = MOST_COMPONENTS) -> Components:
    """Finds at most `most` components; vectors are centred, components are not whitened."""
    vectors = vectors.astype(np.float32)
    mean = vectors.mean(0)
    centred = vectors - mean
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    count = min(most, len(vectors) - 1, vectors.shape[1])
    scale = np.sqrt(max(float(variances.sum()), 1e-12))
    return Components(mean, (directions[:, ::-1][:, :count] / scale).astype(np.float32))

"""Without any label: the texts are compared with the embedded class names."""

import numpy as np
from jaxtyping import Float

TEMPERATURE = 0.05
NUM_BALANCING = 30


def read_by_class_names(
    embeddings: Float[np.ndarray, "N D"], class_embeddings: Float[np.ndarray, "C D"]
) -> Float[np.ndarray, "N C"]:
    """Class probabilities of texts by cosine similarity with the class names.

    Similarities are centred over the texts, and classes are balanced: each is taken to be equally frequent
    (Sinkhorn and Knopp's iteration). Both take away that some names are near to every text.

    Args:
        embeddings: L2-normalised text embeddings.
        class_embeddings: L2-normalised embeddings of the class names.
    """
    similarity = embeddings.astype(np.float64) @ class_embeddings.T
    probabilities = np.exp((similarity - similarity.mean(0)) / TEMPERATURE)
    for _ in range(NUM_BALANCING):
        probabilities /= probabilities.sum(0)
        probabilities /= probabilities.sum(1, keepdims=True)
    return probabilities

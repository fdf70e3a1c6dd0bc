"""What a projector sees in an image, in words: the training descriptions nearest to the projected features."""

import numpy as np
from jaxtyping import Float32, Int64

from gpt4image.evaluate.projector import centred_unit


def find_nearest(
    queries: Float32[np.ndarray, "q d"], vectors: Float32[np.ndarray, "n d"], most: int
) -> Int64[np.ndarray, "q m"]:
    """The `most` vectors nearest to each query by cosine similarity, both taken relative to their own mean."""
    scores = centred_unit(queries) @ centred_unit(vectors).T
    return np.argsort(-scores, axis=1, kind="stable")[:, :most].astype(np.int64)

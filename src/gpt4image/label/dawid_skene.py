"""Dawid and Skene's model of several annotators (Applied Statistics 28, 1979): the classic way to weigh opinions.

Each annotator w has a confusion matrix P_w(said | true); annotators err independently. Expectation-maximisation finds
matrices, class shares and the true classes together.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

MOST_ROUNDS = 100
TOLERANCE = 1e-5
SMOOTHING = 0.01
"""Pseudo-count of every cell of a confusion matrix."""


def weigh_votes(
    votes: Sequence[Int[np.ndarray, " N"]], num_classes: int
) -> tuple[Float[np.ndarray, "N C"], Float[np.ndarray, "W C C"]]:
    """Class probabilities, and each annotator's confusion matrix as [true, said].

    Args:
        votes: of each annotator, -1 where it says nothing.
        num_classes: C.
    """
    said = np.stack(votes)
    cast = said >= 0
    one_hot = np.eye(num_classes + 1)[said][:, :, :num_classes] * cast[..., None]
    belief = one_hot.sum(0) + 1e-6
    belief /= belief.sum(1, keepdims=True)
    last = -np.inf
    matrices = np.empty((len(votes), num_classes, num_classes))
    for _ in range(MOST_ROUNDS):
        shares = belief.mean(0)
        for number, own in enumerate(one_hot):
            counts = belief.T @ own + SMOOTHING
            matrices[number] = counts / counts.sum(1, keepdims=True)
        logits = np.log(shares) + sum(own @ np.log(matrix).T for own, matrix in zip(one_hot, matrices, strict=True))
        top = logits.max(1, keepdims=True)
        totals = np.exp(logits - top).sum(1, keepdims=True)
        belief = np.exp(logits - top) / totals
        likelihood = float((top + np.log(totals)).mean())
        if likelihood - last < TOLERANCE:
            break
        last = likelihood
    return belief, matrices

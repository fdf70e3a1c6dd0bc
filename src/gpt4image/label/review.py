"""What a person should look at first: the images whose answer is worth most."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


def order_for_review(
    confidence: Float[np.ndarray, " N"], proposed: Int[np.ndarray, " N"], answered: Sequence[int] = ()
) -> Int[np.ndarray, " M"]:
    """Images in the order of what an answer is expected to gain.

    An answer makes one label right that is wrong with probability `1 - confidence`: that is its worth, but for what it
    tells of others. Among images alike in that, classes take turns, since answers about one class also correct what
    is believed of its witnesses.

    Args:
        confidence: of the proposed label.
        proposed: class, -1 for open.
        answered: images that have an answer already; they are left out.
    """
    gain = np.round(1 - confidence.astype(np.float64), 2)
    order = np.lexsort((np.arange(len(gain)), -gain))
    turn = np.zeros(len(gain), dtype=np.int64)
    seen: dict[tuple[float, int], int] = {}
    for image in order:
        key = (gain[image], int(proposed[image]))
        turn[image] = seen[key] = seen.get(key, -1) + 1
    order = np.lexsort((proposed, turn, -gain))
    return order[~np.isin(order, np.asarray(answered, dtype=np.int64))]

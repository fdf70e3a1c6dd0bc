"""Log-probabilities."""

import numpy as np
from jaxtyping import Float


def normalise_logs(logits: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
    """Log-softmax of each row."""
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value))."""
    return float(1 / (1 + np.exp(-value)))

"""The head under the generalised cross-entropy L_q (Zhang and Sabuncu, arXiv 1805.07836), as a few weighed fits.

Its gradient is that of the cross-entropy with each target times p^q, p being what the model says of that class (their
section 3.2): where fits to targets that are weighed by the last one's p^q no longer change, L_q is stationary. The
first fit is that of the cross-entropy, as L_q itself is not convex.
"""

from jaxtyping import Float
from torch import Tensor

from gpt4image.train.frozen.head import Balance, Head, ScaledFeatures, fit_head
from gpt4image.train.objectives.losses import GCE_Q

ROUNDS = 10
SMALL = 0.01
"""Change of the weights, the largest of all targets', at which the rounds end."""


def fit_robust_head(
    scaled: ScaledFeatures, targets: Float[Tensor, "rows classes"], seed: int = 0, balance: Balance = "none"
) -> Head:
    """As `fit_head`; labels that look wrong by all others teach less. Classes are balanced in the last fit alone."""
    weights, features = targets.new_ones(targets.shape), scaled.rows * scaled.scale + scaled.mean
    for _ in range(ROUNDS):
        head = fit_head(scaled, targets * weights, seed)
        last, weights = weights, head.compute_logits(features).softmax(1) ** GCE_Q
        if ((weights - last).abs() * targets).max() < SMALL:
            break
    return fit_head(scaled, targets * weights, seed, balance)

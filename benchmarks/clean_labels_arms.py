"""The arms of clean_labels.py: how texts take part in a training with clean labels."""

from dataclasses import dataclass, field, replace
from typing import Any

from gpt4image.compare.arms import OFFICIAL, TEXTTEACHER


@dataclass(frozen=True)
class Arm:
    """How texts take part: settings of `train`, and what `train` has no setting for.

    Attributes:
        settings: of `train`.
        text: description, attributes, both (the mean of their embeddings) or either (one of them a step).
        part: of the text embedding: whole; residual: minus the mean of its class; class: that mean.
        course: constant; early: down to zero at a third; first: texts alone for a third, then labels alone.
        aspects: shop attributes are further outputs, and texts take no part.
        shuffled: each photo has another one's text.
        project: the part of a row's text gradient that opposes its label gradient is taken out.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    text: str = "description"
    part: str = "whole"
    course: str = "constant"
    aspects: bool = False
    shuffled: bool = False
    project: bool = False

    def find_weights(self, weight: float, progress: float) -> tuple[float, float]:
        """Weights of the label loss and of the text loss at this share of the training."""
        if self.course == "early":
            return 1.0, weight * max(0.0, 1 - 3 * progress)
        if self.course == "first":
            return (0.0, 1.0) if progress < 1 / 3 else (1.0, 0.0)
        return 1.0, weight


ALIGNED = Arm({"objective": "clip"})
STRONG = Arm({"objective": "clip", "text_weight": 1.0})
ARMS = {
    "plain": Arm({"objective": "none"}),
    "aligned": ALIGNED,
    "official": Arm(OFFICIAL),
    "textteacher": Arm(TEXTTEACHER),
    "shuffled": replace(ALIGNED, shuffled=True),
    "early": replace(ALIGNED, course="early"),
    "strong_early": replace(STRONG, course="early"),
    "textteacher_early": Arm(TEXTTEACHER, course="early"),
    "first": replace(ALIGNED, course="first"),
    "residual": replace(ALIGNED, part="residual"),
    "strong_residual": replace(STRONG, part="residual"),
    "class": replace(ALIGNED, part="class"),
    "mean": Arm({"objective": "clip", "centring": "mean"}),
    "whiten": Arm({"objective": "clip", "centring": "whiten"}),
    "excluded": Arm({"objective": "clip", "related": "excluded"}),
    "positive": Arm({"objective": "clip", "related": "positive"}),
    "mlp": Arm({"objective": "clip", "projector": "mlp"}),
    "weak": Arm({"objective": "clip", "text_weight": 0.03}),
    "strong": STRONG,
    "strong_shuffled": replace(STRONG, shuffled=True),
    "cold": Arm({"objective": "clip", "temperature": 0.07}),
    "byol": Arm({"objective": "byol"}),
    "tokens": Arm({"objective": "tokens"}),
    "project": replace(ALIGNED, project=True),
    "aspects": Arm({"objective": "clip"}, aspects=True),
    "sentence": replace(ALIGNED, text="attributes"),
    "sentence_strong": replace(STRONG, text="attributes"),
    "sentence_strong_shuffled": replace(STRONG, text="attributes", shuffled=True),
    "sentence_residual": replace(ALIGNED, text="attributes", part="residual"),
    "sentence_tokens": Arm({"objective": "tokens"}, text="attributes"),
    "sentence_tokens_shuffled": Arm({"objective": "tokens"}, text="attributes", shuffled=True),
    "sentence_textteacher": Arm(TEXTTEACHER, text="attributes"),
    "both": replace(ALIGNED, text="both"),
    "either": replace(ALIGNED, text="either"),
    "strong_both": replace(STRONG, text="both"),
    "strong_either": replace(STRONG, text="either"),
}
CONTROLS = ("plain", "shuffled", "strong_shuffled", "sentence_strong_shuffled", "sentence_tokens_shuffled")

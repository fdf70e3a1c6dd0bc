"""Stage 4: how good a trained model is on test images, and whether two differ by more than chance."""

from gpt4image.evaluate.paired import PairedDifference, accuracy_interval, paired_difference
from gpt4image.evaluate.stage import EvaluateResult, EvaluateSettings, evaluate

__all__ = [
    "EvaluateResult",
    "EvaluateSettings",
    "PairedDifference",
    "accuracy_interval",
    "evaluate",
    "paired_difference",
]

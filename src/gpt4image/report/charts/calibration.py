"""Calibration: how often a model is right when it says how sure it is."""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from scipy.special import softmax

from gpt4image.evaluate.record import Predictions
from gpt4image.report.charts import svg

NUM_BINS = 15
LEAST_IMAGES = 5
"""Bins with fewer answers are not drawn: their accuracy is mostly chance."""


def compute_reliability(predictions: list[Predictions]) -> np.ndarray:
    """Reliability over 15 bins of equal width, of all runs together.

    Returns:
        float [bins, 3]: mean confidence, accuracy (both 0 to 1) and number of answers of each bin.
    """
    confidence = np.concatenate([softmax(one.logits, axis=1).max(1) for one in predictions])
    correct = np.concatenate([one.correct for one in predictions])
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    sums = [np.bincount(bins, weights=values, minlength=NUM_BINS) for values in (confidence, correct)]
    return np.stack([*(total / np.maximum(counts, 1) for total in sums), counts], axis=1)


def draw_calibration(arms: Mapping[str, list[Predictions]], colours: Mapping[str, str]) -> Markup:
    """The reliability diagram of several arms; the dashed diagonal is a perfectly calibrated model."""
    axes = svg.Axes((0, 100), (0, 100), height=300)
    body = axes.grid("confidence, %")
    body += svg.line(axes, [0, 100], [0, 100], "ideal")
    for arm, predictions in arms.items():
        table = compute_reliability(predictions)
        table = table[table[:, 2] >= LEAST_IMAGES]
        xs, ys = (100 * table[:, 0]).tolist(), (100 * table[:, 1]).tolist()
        body += svg.line(axes, xs, ys, colours[arm])
        body += svg.points(axes, 100 * table[:, :2], colours[arm])
    description = "How often each arm is right at each level of confidence; below the diagonal it is overconfident."
    return svg.draw(axes, "Calibration", description, body)

"""Learning curves: each measure of `metrics.jsonl` by epoch, mean and range over the seeds of an arm."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from gpt4image.compare.comparison import Arm, Situation
from gpt4image.report.charts import svg
from gpt4image.runs import METRICS

MEASURES = {
    "top1_train": "top-1 on training batches, %",
    "loss_label": "loss of the labels",
    "loss_text": "loss of the texts",
}


@dataclass(frozen=True)
class Curve:
    """One measure of one arm: `epochs` int [E], `values` float [seeds, E]."""

    arm: str
    epochs: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class CurveChart:
    """One chart and its last values, which a table repeats."""

    title: str
    picture: Markup
    last: dict[str, float]


def read_curve(arm: Arm, measure: str) -> Curve | None:
    """Reads one measure of all runs of an arm, as far as all of them go; None if a run does not have it."""
    rows = []
    for run in arm.runs:
        path = run.path / METRICS
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = {entry["epoch"]: entry[measure] for entry in map(json.loads, lines) if entry.get(measure) is not None}
        rows.append(found)
    shared = sorted(set.intersection(*map(set, rows))) if rows else []
    if not shared:
        return None
    return Curve(arm.name, np.array(shared), np.array([[row[epoch] for epoch in shared] for row in rows]))


def draw_curves(situation: Situation, colours: Mapping[str, str]) -> list[CurveChart]:
    """One chart a measure that any arm has."""
    charts = []
    for measure, title in MEASURES.items():
        curves = [curve for arm in situation.arms.values() if (curve := read_curve(arm, measure)) is not None]
        if curves:
            last = {curve.arm: float(curve.values[:, -1].mean()) for curve in curves}
            charts.append(CurveChart(title, _draw(title, curves, colours, last), last))
    return charts


def _draw(title: str, curves: list[Curve], colours: Mapping[str, str], last: Mapping[str, float]) -> Markup:
    values = np.concatenate([curve.values.ravel() for curve in curves])
    epochs = np.concatenate([curve.epochs for curve in curves])
    low, high = float(values.min()), float(values.max())
    axes = svg.Axes((int(epochs.min()), int(epochs.max())), (low, high + 0.02 * (high - low)))
    body = axes.grid("epoch", x_least_step=1)
    for curve in curves:
        xs, ys = curve.epochs.tolist(), curve.values
        body += svg.band(axes, xs, ys.min(0).tolist(), ys.max(0).tolist(), colours[curve.arm])
        body += svg.line(axes, xs, ys.mean(0).tolist(), colours[curve.arm])
    at_end = ", ".join(f"{arm} {value:.3g}" for arm, value in last.items())
    return svg.draw(axes, title, f"By epoch, mean and range over seeds. At the end: {at_end}.", body)

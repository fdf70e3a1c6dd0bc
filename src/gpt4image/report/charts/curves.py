"""Learning curves: each measure of `metrics.jsonl` by epoch, mean and range over the seeds of an arm."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from gpt4image.compare.comparison import Arm, Situation
from gpt4image.files import reading
from gpt4image.report.charts import svg
from gpt4image.runs import METRICS

MEASURES = {
    "top1_train": "top-1 on training batches, %",
    "loss_label": "loss of the labels",
    "loss_text": "loss of the texts",
}


@dataclass(frozen=True)
class CurveChart:
    """One chart and its last values, which a table repeats."""

    title: str
    picture: Markup
    last: dict[str, float]


def read_curve(arm: Arm, measure: str) -> dict[int, list[float]]:
    """One measure of an arm by epoch, a value a run, as far as all runs go; empty if a run does not have it."""
    rows = []
    for run in arm.runs:
        path = run.path / METRICS
        with reading(path):
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            entries = [entry for entry in map(json.loads, lines) if entry.get(measure) is not None]
            rows.append({entry["epoch"]: entry[measure] for entry in entries})
    shared = sorted(set.intersection(*map(set, rows))) if rows else []
    return {epoch: [row[epoch] for row in rows] for epoch in shared}


def draw_curves(situation: Situation, colours: Mapping[str, str]) -> list[CurveChart]:
    """One chart a measure that any arm has."""
    charts = []
    for measure, title in MEASURES.items():
        curves = {name: curve for name, arm in situation.arms.items() if (curve := read_curve(arm, measure))}
        if curves:
            last = {arm: fmean(curve[max(curve)]) for arm, curve in curves.items()}
            charts.append(CurveChart(title, _draw(title, curves, colours, last), last))
    return charts


def _draw(
    title: str, curves: Mapping[str, dict[int, list[float]]], colours: Mapping[str, str], last: Mapping[str, float]
) -> Markup:
    values = [value for curve in curves.values() for several in curve.values() for value in several]
    epochs = [epoch for curve in curves.values() for epoch in curve]
    low, high = min(values), max(values)
    axes = svg.Axes((min(epochs), max(epochs)), (low, high + 0.02 * (high - low)))
    body = axes.grid("epoch", x_least_step=1)
    for arm, curve in curves.items():
        xs, ys = list(curve), curve.values()
        body += svg.band(axes, xs, list(map(min, ys)), list(map(max, ys)), colours[arm])
        body += svg.line(axes, xs, list(map(fmean, ys)), colours[arm])
    at_end = ", ".join(f"{arm} {value:.3g}" for arm, value in last.items())
    return svg.draw(axes, title, f"By epoch, mean and range over seeds. At the end: {at_end}.", body)

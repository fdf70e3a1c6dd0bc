"""Accuracy against a share of labels or descriptions, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from gpt4image.report.charts import svg

TITLES = {
    "keep_labels": "labels kept, share of all or number a class",
    "wrong_labels": "share of wrong labels",
    "described": "share of images described",
}


@dataclass(frozen=True)
class ShareChart:
    """One series; `rows` is the same as a table: arm to `(mean, low, high)` or None at each of `values`."""

    title: str
    values: list[str]
    picture: Markup
    rows: dict[str, list[tuple[float, float, float] | None]]


def draw_shares(series: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> list[ShareChart]:
    """One chart a series of comparison.json."""
    charts = []
    for one in series:
        rows = {
            arm: [None if point is None else (point["mean"], point["low"], point["high"]) for point in points]
            for arm, points in sorted(one["arms"].items(), key=lambda entry: list(colours).index(entry[0]))
        }
        title = f"Accuracy by {TITLES.get(one['option'], one['option'])}"
        values = [_name(one["option"], value) for value in one["values"]]
        charts.append(ShareChart(title, values, _draw(title, values, rows, colours), rows))
    return charts


def _name(option: str, value: float) -> str:
    if option == "keep_labels":
        return "all" if value == 1 else f"{value:g}" if value > 1 or value == 0 else f"{100 * value:g} %"
    return f"{100 * value:g} %"


def _draw(
    title: str,
    values: list[str],
    rows: Mapping[str, list[tuple[float, float, float] | None]],
    colours: Mapping[str, str],
) -> Markup:
    known = [point for points in rows.values() for point in points if point is not None]
    low, high = min(point[1] for point in known), max(point[2] for point in known)
    axes = svg.Axes((-0.15, len(values) - 0.85), (low, high + 0.02 * (high - low)))
    body = axes.grid(title.removeprefix("Accuracy by "), x_names=values)
    for arm, points in rows.items():
        places = [place for place, point in enumerate(points) if point is not None]
        means, lows, highs = zip(*(point for point in points if point is not None), strict=True)
        body += svg.band(axes, places, lows, highs, colours[arm])
        body += svg.line(axes, places, means, colours[arm])
    at_ends = ", ".join(f"{arm} {points[-1][0]:.1f}" for arm, points in rows.items() if points[-1] is not None)
    return svg.draw(axes, title, f"Top-1 in percent with 95 % intervals. At {values[-1]}: {at_ends}.", body)

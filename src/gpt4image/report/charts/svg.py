"""Small charts as inline SVG that take their colours from the page, so that they follow light and dark.

Each is drawn about 360 units wide, the width of a phone, and laid out side by side on larger screens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

LEFT, RIGHT, TOP, BOTTOM = 44, 10, 12, 40


@dataclass(frozen=True)
class Axes:
    """The frame of a chart: data ranges and the size of the picture in units."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: int = 360
    height: int = 240

    def x(self, value: float) -> float:
        """Horizontal place of a value."""
        low, high = self.x_range
        return round(LEFT + (value - low) / ((high - low) or 1) * (self.width - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Vertical place of a value."""
        low, high = self.y_range
        return round(self.height - BOTTOM - (value - low) / ((high - low) or 1) * (self.height - TOP - BOTTOM), 1)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """The `points` of a line."""
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in zip(xs, ys, strict=True))

    def grid(self, x_label: str, x_least_step: float = 0.0, x_names: Sequence[str] = ()) -> Markup:
        """Grid lines, tick labels at least `x_least_step` apart or `x_names` at 0, 1, ..., and the axis' title."""
        left, right, bottom = LEFT, self.width - RIGHT, self.height - BOTTOM
        parts = [
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/><text x="{}" y="{}" class="tick end">{}</text>'
            ).format(left, right, left - 6, self.y(value) + 4, format_tick(value), y=self.y(value))
            for value in choose_ticks(*self.y_range)
        ]
        ticks = [(value, format_tick(value)) for value in choose_ticks(*self.x_range, least_step=x_least_step)]
        parts += [
            Markup('<text x="{}" y="{}" class="tick middle">{}</text>').format(self.x(value), bottom + 16, name)
            for value, name in (enumerate(x_names) if x_names else ticks)
        ]
        middle = (left + right) / 2
        parts.append(
            Markup('<text x="{}" y="{}" class="label middle">{}</text>').format(middle, self.height - 6, x_label)
        )
        return Markup().join(parts)


def choose_ticks(low: float, high: float, most: int = 6, least_step: float = 0.0) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) between `low` and `high`, at most `most`."""
    if not high > low:
        return [low]
    rough = (high - low) / (most - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    step = max(step, least_step)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def format_tick(value: float) -> str:
    """A tick's label, with a real minus sign."""
    return f"{value:g}".replace("-", "−")


def draw(axes: Axes, title: str, description: str, body: Markup) -> Markup:
    """The whole picture; title and description are what a screen reader says."""
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title><desc>{}</desc>{}</svg>'
    ).format(axes.width, axes.height, f"{title}. {description}", title, description, body)


def line(axes: Axes, xs: Sequence[float], ys: Sequence[float], css: str) -> Markup:
    """A line through points; `css` names its colour."""
    return Markup('<polyline class="line {}" points="{}"/>').format(css, axes.path(xs, ys))


def band(axes: Axes, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], css: str) -> Markup:
    """The area between two lines."""
    outline = f"{axes.path(xs, lows)} {axes.path(list(xs)[::-1], list(highs)[::-1])}"
    return Markup('<polygon class="band {}" points="{}"/>').format(css, outline)


def points(axes: Axes, places: np.ndarray, css: str, radius: float = 2.6) -> Markup:
    """Dots at `places` [n, 2], as one path of round caps: far smaller than a circle each."""
    moves = "".join(f"M{axes.x(x)} {axes.y(y)}h0" for x, y in places.tolist())
    return Markup('<path class="dots {}" stroke-width="{}" d="{}"/>').format(escape(css), 2 * radius, moves)

"""Renders the report's page from what was gathered."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gpt4image import __version__
from gpt4image.compare.comparison import Comparison
from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.endpoint.payload import to_data_url
from gpt4image.describe.store.provenance import Provenance
from gpt4image.files import write_text
from gpt4image.images import ImageSet
from gpt4image.report.charts.shares import draw_shares
from gpt4image.report.labels.image_label import name_witness
from gpt4image.report.pictures import encode_jpeg
from gpt4image.report.view import View, choose_colours
from gpt4image.shown import format_duration, in_words

FINDINGS = {"gain": "gain", "loss": "loss", "none": "no measurable difference"}
MOST_CLASSES = 24
FACTS = {
    "embeddings": "table",
    "normalised": "of length 1",
    "num_truncated": "texts cut",
    "num_images": "images with a text",
    "num_rows": "text embeddings",
    "max_tokens": "tokens the encoder reads",
    "dimension": "width of an embedding",
}
"""What facts of a manifest are called in words."""


def make_environment() -> Environment:
    """Templates of this package: HTML is escaped, and a name that does not exist is an error."""
    environment = Environment(
        loader=PackageLoader("gpt4image.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "points": format_points,
        "percent": lambda value, digits=1: "–" if value is None else f"{value:.{digits}f}",
        "interval": lambda one: (
            f"{100 * one.level:.0f} % interval {format_points(one.low)} to {format_points(one.high)}"
        ),
        "duration": lambda seconds: "–" if seconds is None else format_duration(seconds),
        "words": lambda value: in_words(value, "–"),
        "count": lambda value: f"{value:,}" if value else "–",
        "fact": lambda name: FACTS.get(name, name.replace("_", " ")),
        "minus": lambda text: re.sub(r"(?<=[\s(])-(?=\d)", "−", text),
        "states": format_states,
        "usd": format_usd,
        "period": lambda *days: " to ".join(dict.fromkeys(format_moment(day).partition(",")[0] for day in days)),
        "moment": format_moment,
        "witness": lambda name: name if name == "given labels" else name_witness(name),
        "sentence": lambda text: text[:1].upper() + text[1:],
    }
    return environment


def write_image_page(path: Path, template: str, images: ImageSet, **values: Any) -> None:
    """Writes a page that shows images and needs no other file; the template finds them as `pictures`."""
    pictures = [to_data_url(encode_jpeg(images.decode(position), 220)) for position in range(len(images))]
    write_text(path, make_environment().get_template(template).render(images=images, pictures=pictures, **values))


def render_report(
    comparison: Comparison, views: Sequence[View], provenance: Sequence[Provenance] = (), prices: Prices | None = None
) -> str:
    """The whole page as HTML.

    Args:
        comparison: the numbers.
        views: what there is to show of each situation.
        provenance: where the descriptions come from.
        prices: of their tokens.
    """
    colours = choose_colours(comparison)
    template = make_environment().get_template("report.html.j2")
    return template.render(
        comparison=comparison,
        views=views,
        provenance=provenance,
        prices=prices or Prices(),
        findings=FINDINGS,
        shares=draw_shares(comparison.shares, colours),
        colours=colours,
        most=MOST_CLASSES,
        version=__version__,
    )


def format_points(value: float | None, digits: int = 1) -> str:
    """A difference with its sign and a real minus, such as `+1.5`."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def format_moment(text: str) -> str:
    """A time stamp such as `24 November 2026, 07:29`; what is none stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return str(text or "")
    return f"{moment.day} {moment:%B %Y, %H:%M}"


def format_usd(amount: float) -> str:
    """Dollars and cents; below ten cents two digits that count."""
    return f"{amount:,.2f} USD" if amount >= 0.1 or amount == 0 else f"{float(f'{amount:.2g}'):f}".rstrip("0") + " USD"


def format_states(states: Mapping[str, int]) -> str:
    """What did not become a description, such as `3 truncated, 1 refused`; a dash for none."""
    failed = (f"{number:,} {name.replace('_', ' ')}" for name, number in states.items() if name != "ok")
    return ", ".join(failed) or "–"

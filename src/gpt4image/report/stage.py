"""The report: a comparison's folder in, one HTML file that needs nothing else out."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from gpt4image.compare import CompareResult, CompareSettings, compare
from gpt4image.errors import SettingsError
from gpt4image.results import StageResult

FILE_NAME = "index.html"


@dataclass(frozen=True)
class ReportSettings:
    """Write the HTML report of a comparison.

    Attributes:
        path: folder of a comparison, with its comparison.json.
        look_inside: examples, nearest descriptions and feature maps, for which the models run over images of which no
            features were kept.
        feature_map: how features are laid out in the plane: pca, or umap (extra gpt4image[umap]).
        usd_per_million_input: price of a million tokens the describer read; the recipe's if not given.
        usd_per_million_output: price of a million tokens it wrote.
        device: auto, cpu, cuda, cuda:N or mps, where the models run.
    """

    path: Path
    look_inside: bool = True
    feature_map: Literal["pca", "umap"] = "pca"
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None
    device: str = "auto"


@dataclass(frozen=True)
class ReportResult(StageResult):
    """What was written.

    Attributes:
        report: the page.
        verdict: its first sentence.
        notes: what could not be shown and why.
    """

    report: Path
    verdict: str
    notes: tuple[str, ...]

    def lines(self) -> Iterator[Any]:
        yield from self.notes
        yield self.verdict
        yield f"report: {self.report}"


def report(settings: ReportSettings) -> ReportResult:
    """Writes `index.html` into the comparison's folder.

    Raises:
        RunError: the folder holds no comparison.
        SettingsError: the layout of feature maps is not installed.
    """
    from gpt4image.compare.comparison import load_comparison
    from gpt4image.describe.asking.cost import Prices
    from gpt4image.files import write_text
    from gpt4image.report.page import render_report
    from gpt4image.report.view import find_provenance, view_situation

    if settings.feature_map == "umap" and find_spec("umap") is None:
        raise SettingsError("--feature-map umap needs umap-learn; pip install 'gpt4image[umap]', or use pca")
    comparison = load_comparison(settings.path)
    views = [
        view_situation(comparison, situation, settings.look_inside, settings.feature_map, settings.device)
        for situation in comparison.situations
    ]
    path = settings.path / FILE_NAME
    # What a million tokens cost: as given, else as the recipe says.
    recipe = comparison.recipe.get("describe") or {}
    given = {name: getattr(settings, name) for name in ("usd_per_million_input", "usd_per_million_output")}
    prices = Prices(**{name: recipe.get(name) if value is None else value for name, value in given.items()})
    write_text(path, render_report(comparison, views, find_provenance(comparison), prices))
    notes = dict.fromkeys(note for view in views for note in view.notes)
    return ReportResult(path, comparison.verdict, tuple(notes))


def write_report(comparison_folder: Path, device: str = "auto") -> Path:
    """Writes the report of a comparison and returns its path."""
    return report(ReportSettings(comparison_folder, device=device)).report


def compare_and_report(settings: CompareSettings) -> CompareResult:
    """`gpt4image compare`: what a recipe says and has not been run yet, then the report."""
    return compare(settings, partial(write_report, device=settings.device))

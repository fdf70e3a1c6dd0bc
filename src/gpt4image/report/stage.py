"""The report: a comparison's folder in, one HTML file that needs nothing else out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt4image.results import StageResult

FILE_NAME = "index.html"


@dataclass(frozen=True)
class ReportSettings:
    """Write the HTML report of a comparison.

    Attributes:
        path: folder of a comparison, with its comparison.json.
        look_inside: run the models once more for examples, nearest descriptions and feature maps.
    """

    path: Path
    look_inside: bool = True


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
    """
    from gpt4image.files import write_text
    from gpt4image.report.comparison import load_comparison
    from gpt4image.report.page import render_report
    from gpt4image.report.view import view_situation

    comparison = load_comparison(settings.path)
    views = [view_situation(comparison, situation, settings.look_inside) for situation in comparison.situations]
    path = settings.path / FILE_NAME
    write_text(path, render_report(comparison, views))
    notes = dict.fromkeys(note for view in views for note in view.notes)
    return ReportResult(path, comparison.verdict, tuple(notes))


def write_report(comparison_folder: Path) -> Path:
    """Writes the report of a comparison and returns its path."""
    return report(ReportSettings(comparison_folder)).report

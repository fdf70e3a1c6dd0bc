"""What a forecast says, and how the terminal shows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpt4image.forecast.outlook import WEAK, Outlook, nearest_cases
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from rich.table import Table

    from gpt4image.forecast.pilot import Pilot, Share
    from gpt4image.forecast.remaining import Remaining

FEW_EACH = 10


@dataclass(frozen=True)
class ForecastResult(StageResult):
    """What the pilot says.

    Attributes:
        images: readable images, each content once.
        labelled: of them with a label.
        described: of them with a usable description.
        fewest: described images of the class that has fewest.
        answered: share of the asked images that got a usable description.
        pilot: what the texts know; None if too few have a label.
        outlook: what may be expected.
        remaining: what is missing and would cost, by prompt and describer.
        told: prompts that name the class to the describer, so that agreement with the label says nothing.
    """

    images: int
    labelled: int
    described: int
    fewest: int
    answered: float
    pilot: "Pilot | None"
    outlook: Outlook
    remaining: "tuple[Remaining, ...]"
    told: tuple[str, ...] = ()

    def lines(self) -> Iterator[Any]:
        """The measures, the outlook, the cases it rests on, and the cost."""
        yield _measures(self)
        for prompt in self.told:
            told = f"{prompt} tells the describer the class: agreement with the label then says nothing"
            yield f"{told}; describe without it"
        if self.pilot is not None and self.fewest < FEW_EACH:
            few = f"a class has only {self.fewest} described images with a label"
            yield f"{few}; ten of each make the intervals narrower"
        outlook = self.outlook
        if self.pilot is not None and outlook.finding != WEAK:
            factors = f"× {outlook.right_after / outlook.right_before:.1f}, at least × {outlook.least_factor:.1f}"
            yield (
                f"rightly labelled images: about {outlook.right_before:,.0f} as it is, "
                f"about {outlook.right_after:,.0f} with texts on all ({factors})"
            )
            yield _cases(self)
        yield f"{outlook.finding}: {outlook.words}"
        yield _rest(self)
        if self.remaining and all(one.usd is None and one.measured for one in self.remaining):
            yield "give --usd-per-million-input and --usd-per-million-output to see the cost"


def _measures(result: ForecastResult) -> "Table":
    table = _table("Pilot", "measure", "pilot", "95 % interval")
    table.add_row("images described", f"{result.described:,} of {result.images:,}", "")
    table.add_row("asked images with a usable text", f"{100 * result.answered:.1f} %", "")
    pilot = result.pilot
    if pilot is None:
        return table
    table.add_row("reader agrees with the label", *_cells(pilot.agreement))
    table.add_row("  guessing the most frequent class", f"{100 * pilot.chance:.1f} %", "")
    if result.outlook.finding == WEAK:
        return table
    table.add_row("labels that the texts overrule", *_cells(pilot.contradicted))
    table.add_row("wrong labels, estimated", *_cells(pilot.noise))
    if pilot.accuracy is not None:
        table.add_row("reader is right, estimated", f"{100 * pilot.accuracy:.1f} %", "")
    return table


def _cells(share: "Share") -> tuple[str, str]:
    return f"{100 * share.value:.1f} %", f"{100 * share.low:.1f} to {100 * share.high:.1f}"


def _cases(result: ForecastResult) -> "Table":
    table = _table("What was measured elsewhere", "images", "labels", "right ×", "labels alone", "texts", "gain, 95 %")
    for case in nearest_cases(result.outlook):
        accuracies = f"{case.plain:.1f}", f"{case.with_texts:.1f}"
        table.add_row(case.images, case.labels, f"{case.factor:.1f}", *accuracies, case.interval)
    return table


def _rest(result: ForecastResult) -> "Table":
    table = _table("The rest", "prompt", "describer", "described", "missing", "tokens in", "out", "cost")
    for one in result.remaining:
        tokens = [_number(one.tokens_in), _number(one.tokens_out)]
        cost = "" if one.usd is None else f"${one.usd:,.2f}"
        table.add_row(one.prompt, one.describer, f"{one.described:,}", f"{one.missing:,}", *tokens, cost)
    return table


def _table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    return Table(*columns, title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"

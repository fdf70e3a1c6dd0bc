"""The forecast on the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table

from gpt4image.forecast.outlook import WEAK, nearest_cases

if TYPE_CHECKING:
    from gpt4image.forecast.pilot import Share
    from gpt4image.forecast.stage import ForecastResult

FEW_EACH = 10


def show(result: "ForecastResult") -> Iterator[Any]:
    """The measures, the outlook, the cases it rests on, and the cost."""
    yield _measures(result)
    for prompt in result.told:
        yield f"{prompt} tells the describer the class: agreement with the label then says nothing; describe without it"
    if result.pilot is not None and result.fewest < FEW_EACH:
        yield f"a class has only {result.fewest} described images with a label; ten of each make the intervals narrower"
    outlook = result.outlook
    if result.pilot is not None and outlook.finding != WEAK:
        factors = f"× {outlook.right_after / outlook.right_before:.1f}, at least × {outlook.least_factor:.1f}"
        yield (
            f"rightly labelled images: about {outlook.right_before:,.0f} as it is, about {outlook.right_after:,.0f} "
            f"with texts on all ({factors})"
        )
        yield _cases(result)
    yield f"{outlook.finding}: {outlook.words}"
    yield _rest(result)
    if result.remaining and all(one.usd is None and one.measured for one in result.remaining):
        yield "give --usd-per-million-input and --usd-per-million-output to see the cost"


def _measures(result: "ForecastResult") -> Table:
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


def _cases(result: "ForecastResult") -> Table:
    table = _table("What was measured elsewhere", "images", "labels", "right ×", "labels alone", "texts", "gain, 95 %")
    for case in nearest_cases(result.outlook):
        accuracies = f"{case.plain:.1f}", f"{case.with_texts:.1f}"
        table.add_row(case.images, case.labels, f"{case.factor:.1f}", *accuracies, case.interval)
    return table


def _rest(result: "ForecastResult") -> Table:
    table = _table("The rest", "prompt", "describer", "described", "missing", "tokens in", "out", "cost")
    for one in result.remaining:
        tokens = [_number(one.tokens_in), _number(one.tokens_out)]
        cost = "" if one.usd is None else f"${one.usd:,.2f}"
        table.add_row(one.prompt, one.describer, f"{one.described:,}", f"{one.missing:,}", *tokens, cost)
    return table


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"

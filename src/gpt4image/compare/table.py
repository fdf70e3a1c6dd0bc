"""A situation's results as a table for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any


def make_table(situation: Mapping[str, Any]) -> Any:
    """Arms with their differences to the baseline; where there is none, with their accuracy's own interval.

    Args:
        situation: an entry of comparison.json.
    """
    from rich.table import Table

    reference = situation["reference"]
    against = f"against {reference['arm']}, {reference['situation']}" if reference else "difference"
    columns = ["arm", "top-1 %", *(["95 % interval"] if situation["without_labels"] else [])]
    if reference or not situation["without_labels"]:
        columns += [against, "95 % interval"]
    table = Table(*columns, "macro %", "seeds", title=situation["name"], title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, arm in situation["arms"].items():
        macro = sum(run["macro"] for run in arm["runs"]) / max(len(arm["runs"]), 1)
        table.add_row(name, *_cells(situation, name, arm), f"{macro:.2f}", str(len(arm["runs"])))
    return table


def corruption_lines(situation: Mapping[str, Any]) -> Iterator[str]:
    """A line an arm on its accuracy under corruptions, if that was measured."""
    for name, arm in situation["corruptions"].items():
        against = ""
        if "difference" in arm:
            one = arm["difference"]
            against = f", {one['mean']:+.2f} ({one['low']:+.2f} to {one['high']:+.2f}) against the baseline"
        yield f"{name} under corruptions: {arm['top1_mean']:.2f} %{against}"


def retrieval_lines(situation: Mapping[str, Any]) -> Iterator[str]:
    """A line an arm on how often a description finds its image, if that was measured."""
    from gpt4image.evaluate.retrieval import describe_recalls

    for name, arm in situation["retrieval"].items():
        yield f"{name}, a description finds its image: {describe_recalls(arm)}"


def _cells(situation: Mapping[str, Any], name: str, arm: Mapping[str, Any]) -> list[str]:
    spread = "" if arm["top1_std"] is None else f" ± {arm['top1_std']:.2f}"
    cells = [f"{arm['top1_mean']:.2f}{spread}"]
    if situation["without_labels"]:
        cells.append(f"{arm['top1_low']:.2f} to {arm['top1_high']:.2f}")
        if not situation["reference"]:
            return cells
    difference = (situation["reference"] or situation)["differences"].get(name)
    if difference is None:
        return [*cells, "", ""]
    return [*cells, f"{difference['mean']:+.2f}", f"{difference['low']:+.2f} to {difference['high']:+.2f}"]

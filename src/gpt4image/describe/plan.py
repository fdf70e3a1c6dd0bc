"""Says what a run would do and cost: counts what is there, measures a few images, multiplies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.asking.missing import Wanted
from gpt4image.describe.asking.selection import select_images
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.results import StageResult

MEASURED_IMAGES = 4


@dataclass(frozen=True)
class PlannedPrompt:
    """What one prompt needs: descriptions kept, redone, new; tokens and seconds of one, as measured."""

    kept: int
    redo: int
    new: int
    tokens_in: float
    tokens_out: float
    seconds: float

    @property
    def asked(self) -> int:
        return self.redo + self.new


@dataclass(frozen=True)
class PlanResult(StageResult):
    """What a run would do.

    Attributes:
        prompts: what each prompt needs.
        measured: descriptions written to measure; they are in the store.
        tokens_in: tokens the run would read.
        tokens_out: tokens it would write.
        usd: what it would cost, None if prices are not given.
        in_flight: requests at once that `seconds` is for.
        seconds: how long it would take.
    """

    prompts: dict[str, PlannedPrompt]
    measured: int
    tokens_in: int
    tokens_out: int
    usd: float | None
    in_flight: int
    seconds: float

    def lines(self) -> Iterator[Any]:
        from rich.table import Table

        table = Table("prompt", "kept", "redo", "new", "tokens each", "seconds each", box=None, header_style="bold")
        for name, prompt in self.prompts.items():
            tokens = f"{prompt.tokens_in:.0f} + {prompt.tokens_out:.0f}"
            counts = (f"{prompt.kept:,}", f"{prompt.redo:,}", f"{prompt.new:,}")
            table.add_row(name, *counts, tokens, f"{prompt.seconds:.2f}")
        yield table
        cost = "give the prices to see the cost" if self.usd is None else f"about ${self.usd:,.2f}"
        yield f"to come: {self.tokens_in:,} tokens read, {self.tokens_out:,} written; {cost}"
        yield f"time: about {_duration(self.seconds)}, {self.in_flight} requests at once, if the endpoint bears them"
        if self.measured:
            yield f"measured with {self.measured} descriptions, which are kept"


def make_plan(
    wanted: Wanted, store: DescriptionStore, measure: Callable[[Wanted], object], prices: Prices, in_flight: int
) -> PlanResult:
    """Counts, and has a few descriptions written by `measure` if none of a prompt have been measured yet."""
    before = wanted.count(store)["kept"]
    unmeasured = [p for p in wanted.prompts if not store.usage(p.name, wanted.describer).measured]
    if unmeasured:
        few = select_images(wanted.images, wanted.scan, MEASURED_IMAGES)
        names = {one.name for prompt in unmeasured for one in (*prompt.shortlists, prompt)}
        measure(replace(wanted, indices=few, prompts=[p for p in wanted.prompts if p.name in names], samples=1))
    prompts = {}
    for prompt in wanted.prompts:
        counted, usage = replace(wanted, prompts=[prompt]).count(store), store.usage(prompt.name, wanted.describer)
        prompts[prompt.name] = PlannedPrompt(counted["kept"], counted["redo"], counted["new"], *usage[1:])
    tokens_in = sum(prompt.asked * prompt.tokens_in for prompt in prompts.values())
    tokens_out = sum(prompt.asked * prompt.tokens_out for prompt in prompts.values())
    return PlanResult(
        prompts=prompts,
        measured=sum(prompt.kept for prompt in prompts.values()) - before,
        tokens_in=round(tokens_in),
        tokens_out=round(tokens_out),
        usd=prices.usd(tokens_in, tokens_out) if prices.known else None,
        in_flight=in_flight,
        seconds=sum(prompt.asked * prompt.seconds for prompt in prompts.values()) / in_flight,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

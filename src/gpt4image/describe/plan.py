"""Says what a run would do and cost: counts what is there, measures a few images, multiplies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.asking.missing import Wanted
from gpt4image.describe.asking.selection import select_images
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.results import StageResult, make_table
from gpt4image.shown import format_duration

MEASURED_IMAGES = 4
UNTOLD = "not told by the endpoint"


@dataclass(frozen=True)
class PlannedPrompt:
    """What one prompt needs: descriptions kept, redone, new; tokens of one (None if not told), its seconds."""

    kept: int
    redo: int
    new: int
    tokens_in: float | None
    tokens_out: float | None
    seconds: float

    @property
    def asked(self) -> int:
        return self.redo + self.new

    def cells(self) -> list[str]:
        """What a table shows."""
        tokens = UNTOLD if self.tokens_in is None else f"{self.tokens_in:.0f} + {self.tokens_out:.0f}"
        return [f"{self.kept:,}", f"{self.redo:,}", f"{self.new:,}", tokens, f"{self.seconds:.2f}"]


@dataclass(frozen=True)
class PlanResult(StageResult):
    """What a run would do.

    Attributes:
        prompts: what each prompt needs.
        measured: descriptions written to measure; they are in the store.
        tokens_in: tokens the run would read, None if the endpoint does not tell.
        tokens_out: tokens it would write, None if the endpoint does not tell.
        usd: what it would cost, None if prices are not given, or tokens not told.
        in_flight: requests at once that `seconds` is for.
        seconds: how long it would take.
    """

    prompts: dict[str, PlannedPrompt]
    measured: int
    tokens_in: int | None
    tokens_out: int | None
    usd: float | None
    in_flight: int
    seconds: float

    def lines(self) -> Iterator[Any]:
        columns = ("prompt", "kept", "redo", "new", "tokens each", "seconds each")
        yield make_table(columns, ([name, *prompt.cells()] for name, prompt in self.prompts.items()))
        cost = "give the prices to see the cost" if self.usd is None else f"about ${self.usd:,.2f}"
        if self.tokens_in is None:
            yield f"to come: tokens and cost are {UNTOLD}; a budget would work with an estimate"
        else:
            yield f"to come: {self.tokens_in:,} tokens read, {self.tokens_out:,} written; {cost}"
        duration = format_duration(self.seconds)
        yield f"time: about {duration}, {self.in_flight} requests at once, if the endpoint bears them"
        if self.measured:
            yield f"measured with {self.measured} descriptions, which are kept"


def make_plan(
    wanted: Wanted, store: DescriptionStore, measure: Callable[[Wanted], object], prices: Prices, in_flight: int
) -> PlanResult:
    """Counts, and has a few descriptions written by `measure` if none of a prompt have been measured yet."""
    before = wanted.count(store)["kept"]
    unmeasured = [p for p in wanted.prompts if not store.usage(p.name, wanted.describer).timed]
    if unmeasured:
        few = select_images(wanted.images, wanted.scan, MEASURED_IMAGES)
        names = {one.name for prompt in unmeasured for one in (*prompt.shortlists, prompt)}
        measure(replace(wanted, indices=few, prompts=[p for p in wanted.prompts if p.name in names], samples=1))
    prompts = {}
    for prompt in wanted.prompts:
        counted, usage = replace(wanted, prompts=[prompt]).count(store), store.usage(prompt.name, wanted.describer)
        is_told = bool(usage.measured or not usage.timed)
        prompts[prompt.name] = PlannedPrompt(
            kept=counted["kept"],
            redo=counted["redo"],
            new=counted["new"],
            tokens_in=usage.tokens_in if is_told else None,
            tokens_out=usage.tokens_out if is_told else None,
            seconds=usage.seconds,
        )
    all_told = all(prompt.tokens_in is not None for prompt in prompts.values() if prompt.asked)
    tokens_in = sum(prompt.asked * (prompt.tokens_in or 0) for prompt in prompts.values())
    tokens_out = sum(prompt.asked * (prompt.tokens_out or 0) for prompt in prompts.values())
    return PlanResult(
        prompts=prompts,
        measured=sum(prompt.kept for prompt in prompts.values()) - before,
        tokens_in=round(tokens_in) if all_told else None,
        tokens_out=round(tokens_out) if all_told else None,
        usd=prices.usd(tokens_in, tokens_out) if prices.known and all_told else None,
        in_flight=in_flight,
        seconds=sum(prompt.asked * prompt.seconds for prompt in prompts.values()) / in_flight,
    )

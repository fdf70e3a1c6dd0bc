"""What a forecast says, and how the terminal shows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpt4image.forecast.outlook import WEAK, Case, Outlook, nearest_cases
from gpt4image.results import StageResult, make_table

if TYPE_CHECKING:
    from gpt4image.forecast.pilot import Pilot
    from gpt4image.forecast.remaining import Remaining

FEW_EACH = 10


@dataclass(frozen=True)
class ForecastResult(StageResult):
    """What the pilot says.

    Attributes:
        images: readable images, each content once.
        labelled: of them with a label.
        described: of them with a text or a pick.
        fewest: described images of the class that has fewest.
        answered: share of the asked images that got a usable answer.
        pilot: what texts and picks know; None if too few have a label.
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
        style = {"title_justify": "left", "pad_edge": False}
        heads = "measure", "pilot", "95 % interval"
        yield make_table(heads, _measures(self), title="Pilot (shares of images, not means over classes)", **style)
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
            measured = "images", "net", "labels", "right ×", "labels alone", "all known", "gain, 95 %"
            yield make_table(measured, map(_case, nearest_cases(outlook)), title="What was measured elsewhere", **style)
        yield f"{outlook.finding}: {outlook.words}"
        costs = "prompt", "describer", "described", "missing", "tokens in", "out", "cost"
        yield make_table(costs, map(_rest, self.remaining), title="The rest", **style)
        if self.remaining and all(one.usd is None and one.measured for one in self.remaining):
            yield "give --usd-per-million-input and --usd-per-million-output to see the cost"


def _measures(result: ForecastResult) -> Iterator[tuple[str, ...]]:
    yield "images described", f"{result.described:,} of {result.images:,}"
    yield "asked images with a usable answer", f"{100 * result.answered:.1f} %"
    if (pilot := result.pilot) is None:
        return
    shares = {"given label named by the best of texts and picks": pilot.agreement}
    if result.outlook.finding != WEAK:
        shares |= {f"{name} is right, estimated": share for name, share in pilot.witnesses.items()}
        shares["given label is wrong, estimated"] = pilot.noise
        shares["given label is overruled"] = pilot.contradicted
        shares["all together are right, estimated"] = pilot.labels_right
    for name, share in shares.items():
        yield name, f"{100 * share.value:.1f} %", f"{100 * share.low:.1f} to {100 * share.high:.1f}"
    yield "most frequent label", f"{100 * pilot.chance:.1f} %"


def _case(case: Case) -> tuple[str, ...]:
    accuracies = f"{case.plain:.1f}", f"{case.with_texts:.1f}"
    return case.images, case.net, case.labels, f"{case.factor:.1f}", *accuracies, case.interval


def _rest(one: "Remaining") -> tuple[str, ...]:
    tokens = ("unknown" if count is None else f"{count:,}" for count in (one.tokens_in, one.tokens_out))
    cost = "" if one.usd is None else f"${one.usd:,.2f}"
    return one.prompt, one.describer, f"{one.described:,}", f"{one.missing:,}", *tokens, cost

"""What the describe stage returns and prints."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.describe.asking.advice import advise
from gpt4image.describe.store.states import SETTLED, State
from gpt4image.results import ExitStatus, StageResult, make_table

if TYPE_CHECKING:
    from gpt4image.describe.asking.missing import Wanted
    from gpt4image.describe.asking.tally import Tally
    from gpt4image.describe.store.store import DescriptionStore

MOST_LISTED = 10
FEWEST_SAME = 20
"""Descriptions of different images in the same words that are no chance."""


@dataclass(frozen=True)
class DescribeResult(StageResult):
    """What a run of the describe stage did.

    Attributes:
        store: the SQLite file.
        images: number of images in the set.
        kept: descriptions that were there before.
        new: descriptions written for the first time.
        redone: descriptions written again.
        states: number of descriptions in each state, by prompt.
        errors: the most frequent error of each failed state, by prompt.
        unreadable: key of each image that cannot be decoded, and why.
        tokens_in: tokens read in this run.
        tokens_out: tokens written in this run.
        usd: cost of this run, as far as prices were given.
        guessed: descriptions of this run whose tokens are estimated: the endpoint did not tell.
        shrunk: images sent at half the size, as the endpoint found them too large.
        stopped: why the run stopped before it was done, or empty.
        notes: further lines for the person who reads.
    """

    store: Path
    images: int
    kept: int
    new: int
    redone: int
    states: dict[str, dict[State, int]]
    errors: dict[str, dict[State, str]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    guessed: int = 0
    shrunk: int = 0
    stopped: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of_run(cls, wanted: "Wanted", store: "DescriptionStore", tally: "Tally", stopped: str) -> "DescribeResult":
        """What a run did, from its tally and the store."""
        counted = ("kept", "new", "redone", "tokens_in", "tokens_out", "usd", "guessed", "shrunk")
        return cls(
            store=store.path,
            images=len(wanted.images),
            states={prompt.name: store.counts(prompt.name, wanted.describer) for prompt in wanted.prompts},
            errors={prompt.name: store.worst_errors([prompt.name], wanted.describer) for prompt in wanted.prompts},
            unreadable=wanted.scan.errors,
            stopped=stopped,
            notes=(*tally.notes, *_tell_same_texts(wanted, store)),
            **{name: getattr(tally, name) for name in counted},
        )

    @property
    def exit_status(self) -> ExitStatus:
        if self.stopped:
            return ExitStatus.STOPPED
        has_failed = any(state not in SETTLED for counts in self.states.values() for state in counts)
        return ExitStatus.PARTLY if has_failed or self.unreadable else ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        yield f"{self.images} images: {self.kept} descriptions kept, {self.new} new, {self.redone} redone"
        rows = (
            (prompt, state, f"{number:,}", advise(state, self.errors.get(prompt, {}).get(state, "")))
            for prompt, counts in self.states.items()
            for state, number in counts.items()
        )
        yield make_table(("prompt", "state", "descriptions", "what to do"), rows)
        for prompt, errors in self.errors.items():
            yield from (f"{prompt}, {state}, most often: {error}" for state, error in errors.items())
        if self.tokens_in or self.tokens_out:
            cost = f", ${self.usd:.2f}" if self.usd else ""
            told = f" (of {self.guessed:,} descriptions by an estimate: the endpoint does not tell)"
            guess = told if self.guessed else ""
            yield f"tokens: {self.tokens_in:,} read, {self.tokens_out:,} written{cost}{guess}"
        if self.shrunk:
            yield f"{self.shrunk:,} images were too large for the endpoint and were sent at half the size"
        yield from (f"unreadable: {error}" for error in list(self.unreadable.values())[:MOST_LISTED])
        if len(self.unreadable) > MOST_LISTED:
            yield f"... and {len(self.unreadable) - MOST_LISTED} more unreadable images"
        yield from self.notes
        if self.stopped:
            yield f"stopped: {self.stopped}; the same command goes on from here"
        yield f"store: {self.store}"


def _tell_same_texts(wanted: "Wanted", store: "DescriptionStore") -> Iterator[str]:
    """A line for each prompt to which all images have the same answer, unless it is one of few, such as a class."""
    for prompt in wanted.prompts:
        number = store.count_same(prompt.name, wanted.describer)
        if number >= FEWEST_SAME and "classes" not in prompt.places and prompt.schema is None:
            yield f"{prompt.name}: all {number:,} texts are the same; does the model see images? gpt4image doctor says"

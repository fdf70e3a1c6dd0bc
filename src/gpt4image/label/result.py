"""What the label stage found out, and how it is shown: counts, what each witness is worth, what is not told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt4image.results import ExitStatus, StageResult

WORDS = {
    "kept": "given and kept",
    "overruled": "given and overruled",
    "completed": "completed, not given before",
    "open": "open: of no class, or not to be told",
    "by_person": "said by a person",
}
MOST_CONFUSIONS = 5


@dataclass(frozen=True)
class LabelResult(StageResult):
    """What the label stage found out.

    Attributes:
        folder: the labels.
        num_images: images weighed.
        num_labelled: of them with a given label.
        states: how many are kept, overruled, completed, open, by a person.
        reliability: what was estimated of the given labels and of each witness, over images and by class.
        confusions: classes that are labelled as others: `class`, `labelled`, and the expected number of `images`.
        cannot_tell: what could not be told, and why.
        num_unreadable: images left out because they cannot be decoded.
        redone: False if the labels were there already and nothing has changed.
    """

    folder: Path
    num_images: int
    num_labelled: int
    states: dict[str, int]
    reliability: dict[str, Any]
    confusions: list[dict[str, Any]]
    cannot_tell: list[str]
    num_unreadable: int
    redone: bool

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.PARTLY if self.num_unreadable else ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        yield f"{self.num_images:,} images, {self.num_labelled:,} with a given label"
        yield from (f"{count:>9,}  {WORDS[state]}" for state, count in self.states.items() if count)
        if self.reliability:
            yield _make_table(self.reliability)
        for one in self.confusions[:MOST_CONFUSIONS]:
            yield f"about {one['images']:.0f} images of {one['class']} are labelled {one['labelled']}"
        yield from (f"not told: {line}" for line in self.cannot_tell)
        if self.num_unreadable:
            yield f"{self.num_unreadable} images cannot be decoded and were left out; see {self.folder}/manifest.json"
        yield f"labels: {self.folder}" + ("" if self.redone else " (nothing has changed since)")


def _make_table(reliability: Mapping[str, Mapping[str, Any]]) -> Any:
    """A row a witness: how often it is estimated to be right, and of which class it is right least often."""
    from rich.table import Table

    title = "How often each witness is right: shares of images, not means over classes"
    columns = ("witness", "images", "right %", "95 % interval", "least right where it says")
    table = Table(*columns, title=title, title_justify="left")
    for column in table.columns[1:4]:
        column.justify = "right"
    for name, facts in reliability.items():
        if facts["accuracy"] is None:
            continue
        named = {word: one for word, one in facts["classes"].items() if one["images"]}
        worst = min(named.items(), key=lambda entry: entry[1]["interval"][1], default=None)
        low, high = facts["interval"]
        table.add_row(
            name,
            f"{facts['images']:,}",
            f"{100 * facts['accuracy']:.1f}",
            f"{100 * low:.1f} to {100 * high:.1f}",
            "" if worst is None else f"{worst[0]} ({100 * worst[1]['accuracy']:.0f} of {worst[1]['images']})",
        )
    return table

"""What was noticed of an image set: what is left out, counted and named, and what looks like a mistake."""

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_KINDS = 12


@dataclass
class LeftOut:
    """Things of one kind that are no part of the set: how many, and one of them."""

    count: int
    example: str


@dataclass
class Remarks:
    """What every stage says of an image set, one line each.

    Attributes:
        left_out: what is no part of the set, by kind, such as `.heic (no decoder)`.
        sentences: what looks like a mistake, or was mended.
    """

    left_out: dict[str, LeftOut] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)

    def leave_out(self, kind: str, example: str, count: int = 1) -> None:
        """Counts things that are left out."""
        self.left_out.setdefault(kind, LeftOut(0, example)).count += count

    def add(self, sentence: str) -> None:
        """Keeps one line to be said."""
        self.sentences.append(sentence)

    def lines(self) -> Iterator[str]:
        """`left out: 3 .heic (no decoder), 2 .txt; such as cat/x.heic, cat/a.txt`, then the sentences."""
        shown = sorted(self.left_out.items(), key=lambda item: -item[1].count)[:MOST_KINDS]
        if shown:
            rest = len(self.left_out) - len(shown)
            counts = [_count(found.count, kind) for kind, found in shown] + [f"{rest} more kinds"] * bool(rest)
            yield f"left out: {', '.join(counts)}; such as {', '.join(found.example for _, found in shown[:3])}"
        yield from self.sentences


def _count(number: int, kind: str) -> str:
    """`3 .heic (no decoder)`, `2 links (lead nowhere)`: what is no suffix has a plural."""
    noun, bracket, reason = kind.partition(" (")
    plural = "s" if number != 1 and not noun.startswith(".") else ""
    return f"{number:,} {noun}{plural}{bracket}{reason}"


def enumerate_names(names: list[str], most: int = 10) -> str:
    """Names after each other, no more than `most`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

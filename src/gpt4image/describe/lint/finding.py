"""What a check sees, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpt4image.describe.store.rows import DescribedImage, Description


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Attributes:
        check: its name.
        count: how many descriptions (or images, or classes) are concerned.
        total: out of how many.
        words: the finding in one line.
        is_bad: whether something should be done.
        remedy: the command that mends it; empty if nothing is bad.
        examples: some cases, one line each.
        rows: the descriptions concerned, for `--requeue`.
    """

    check: str
    count: int
    total: int
    words: str
    is_bad: bool
    remedy: str = ""
    examples: Sequence[str] = ()
    rows: Sequence[Description] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "remedy", self.remedy * bool(self.is_bad))


@dataclass(frozen=True)
class Texts:
    """The descriptions under examination.

    Attributes:
        rows: `ok` descriptions.
        images: all images the store has seen, by digest.
        all_states: number of descriptions in each state.
        errors: the most frequent error of each state that has one.
    """

    rows: Sequence[Description]
    images: Mapping[str, DescribedImage]
    all_states: Mapping[str, int]
    errors: Mapping[str, str] = field(default_factory=dict)

    def labelled(self) -> list[tuple[Description, str]]:
        """The descriptions of images with a class, and that."""
        classes = ((row, self.images[row.digest].class_name) for row in self.rows if row.digest in self.images)
        return [(row, name) for row, name in classes if name]

    def example(self, row: Description, remark: str = "", length: int = 90) -> str:
        """A description in one line of at most `length` characters, after its image's name and a remark."""
        return f"{self.key_of(row)}{remark}: {shorten(row.text, length)}"

    def key_of(self, row: Description) -> str:
        """The name of a description's image."""
        return self.images[row.digest].key if row.digest in self.images else row.digest[:12]

    def find(
        self,
        check: str,
        rows: Sequence[Description],
        words: str,
        is_bad: bool,
        remedy: str,
        examples: Sequence[str],
        total: int | None = None,
    ) -> Finding:
        """A finding about some of the descriptions, out of `total` or all."""
        total = len(self.rows) if total is None else total
        return Finding(check, len(rows), total, words, is_bad, remedy, examples, rows)

    def share(self, rows: Sequence[Description]) -> str:
        return share(len(rows), len(self.rows))


def shorten(text: str, length: int = 90) -> str:
    """One line of at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def share(count: int, total: int) -> str:
    """A share in per cent."""
    return f"{100 * count / total:.1f} %" if total else "none"

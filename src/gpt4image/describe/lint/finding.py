"""What a check sees, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpt4image.describe.store.rows import DescribedImage, Description


@dataclass(frozen=True)
class Texts:
    """The descriptions under examination.

    Attributes:
        rows: `ok` descriptions.
        images: all images the store has seen, by digest.
        all_states: number of descriptions in each state.
    """

    rows: Sequence[Description]
    images: Mapping[str, DescribedImage]
    all_states: Mapping[str, int]

    def class_of(self, row: Description) -> str | None:
        """The class of a description's image."""
        image = self.images.get(row.digest)
        return image.class_name if image else None

    def key_of(self, row: Description) -> str:
        """The name of a description's image, for examples."""
        image = self.images.get(row.digest)
        return image.key if image else row.digest[:12]


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Attributes:
        check: its name.
        count: how many descriptions (or images, or classes) are concerned.
        total: out of how many.
        words: the finding in one line.
        is_bad: whether something should be done.
        remedy: the command that mends it, or empty.
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


def shorten(text: str, length: int = 90) -> str:
    """One line of at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def share(count: int, total: int) -> str:
    """A share in per cent."""
    return f"{100 * count / total:.1f} %" if total else "none"

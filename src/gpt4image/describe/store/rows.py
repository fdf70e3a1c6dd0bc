"""What the store holds: descriptions, and the images they are about."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import NamedTuple

from gpt4image.describe.store.states import State
from gpt4image.errors import DescriptionError

DAMAGED = "the store is damaged: put a copy of it in its place"


def now() -> str:
    """The time as the store has it: UTC, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_clean(text: str) -> bool:
    """Whether a text is one that files and terminals take: no half characters, no NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def clean(text: str) -> str:
    """The text with its half emoji joined, or replaced if the other half is missing, and without NUL."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def read_state(value: str, digest: str) -> State:
    """The state that a row has.

    Raises:
        DescriptionError: there is no such state.
    """
    try:
        return State(value)
    except ValueError as error:
        raise DescriptionError(
            f"a description of {digest!s:.12} has the state {value!r}, which is none; {DAMAGED}"
        ) from error


class Name(NamedTuple):
    """Which description: the key of a row of the store."""

    digest: str
    prompt: str
    describer: str
    sample: int


@dataclass(frozen=True, slots=True)
class Description:
    """One row of the store.

    Attributes:
        digest: SHA-256 of the image's bytes (`key:KEY` if they could not be read).
        prompt: name of the prompt.
        describer: who wrote it: `replay`, or a model's name.
        sample: number of the sample, from 0.
        state: what became of the request.
        text: the description; of a failed one, whatever came instead.
        reasoning: what the model thought before, kept apart.
        tokens_in: tokens of prompt and image, over all attempts.
        tokens_out: tokens written, over all attempts.
        attempts: how often the describer was asked.
        error: what went wrong, empty if nothing did.
        seconds: from the first request to the last reply.
        max_tokens: the limit of the last attempt; 0 if there was none.
        author: `describer`; `person` after an edit by hand, `lint` after one by `gpt4image lint`.
        created: time of writing, UTC.
    """

    digest: str
    prompt: str
    describer: str
    sample: int = 0
    state: State = State.OK
    text: str = ""
    reasoning: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    attempts: int = 1
    error: str = ""
    seconds: float = 0.0
    max_tokens: int = 0
    author: str = "describer"
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", read_state(self.state, self.digest))
        for name in ("text", "reasoning", "error"):
            if not isinstance(text := getattr(self, name), str):
                raise DescriptionError(f"a description of {self.digest!s:.12} has no {name}; {DAMAGED}")
            if not is_clean(text):
                object.__setattr__(self, name, clean(text))
        for name in ("tokens_in", "tokens_out", "attempts"):
            if not isinstance(getattr(self, name), int):
                raise DescriptionError(f"a description of {self.digest!s:.12} has no number of {name}; {DAMAGED}")

    @property
    def name(self) -> Name:
        """The key of the row."""
        return Name(self.digest, self.prompt, self.describer, self.sample)


COLUMNS = tuple(column.name for column in fields(Description))


class DescribedImage(NamedTuple):
    """An image the store has seen, under the name it had then."""

    digest: str
    key: str
    class_name: str | None


class Usage(NamedTuple):
    """Means: tokens read and written over the `measured` descriptions that tell them, seconds over the `timed` ones."""

    measured: int
    tokens_in: float
    tokens_out: float
    seconds: float
    timed: int

"""Stores each answer the moment it is there, counts it, and shows it."""

from collections.abc import Iterable
from dataclasses import dataclass

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.asking.stop_rules import StopRules
from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.store.rows import Description
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import UnreadableImageError
from gpt4image.progress import Tracker


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to one ask and what it took."""

    reply: Reply
    attempts: int = 1
    seconds: float = 0.0

    @classmethod
    def unreadable(cls, error: UnreadableImageError | str) -> "Answer":
        """The answer about an image that cannot be decoded: nobody was asked."""
        return cls(Reply(State.UNREADABLE_IMAGE, error=str(error)), attempts=0)


@dataclass
class Recorder:
    """Where the answers of a run go.

    Attributes:
        store: where they are kept.
        describer: whose they are.
        rules: when to stop.
        tracker: the progress bar.
    """

    store: DescriptionStore
    describer: str
    rules: StopRules
    tracker: Tracker

    @property
    def tally(self) -> Tally:
        return self.rules.tally

    def record(self, ask: Ask, answer: Answer, in_flight: int = 0) -> None:
        """Stores one answer; it is on disk when this returns."""
        self.record_all([(ask, answer)])
        self.tracker.advance(1, self.tally.progress_note(in_flight))

    def record_all(self, answers: Iterable[tuple[Ask, Answer]]) -> None:
        """Stores answers in one write, and counts them."""
        answers = list(answers)
        self.store.write(to_description(ask, self.describer, answer) for ask, answer in answers)
        for ask, answer in answers:
            self.tally.note(answer.reply, answer.seconds, is_redone=ask.old is not None)


def to_description(ask: Ask, describer: str, answer: Answer) -> Description:
    """The row of an answer; tokens and attempts of a description it replaces are counted on."""
    old, reply = ask.old, answer.reply
    return Description(
        digest=ask.digest,
        prompt=ask.prompt.name,
        describer=describer,
        sample=ask.sample,
        state=reply.state,
        text=reply.text,
        reasoning=reply.reasoning,
        tokens_in=reply.tokens_in + (old.tokens_in if old else 0),
        tokens_out=reply.tokens_out + (old.tokens_out if old else 0),
        attempts=answer.attempts + (old.attempts if old else 0),
        error=reply.error,
        seconds=answer.seconds,
        max_tokens=ask.request.max_tokens,
    )

"""Stores each answer the moment it is there, counts it, and shows it."""

from dataclasses import dataclass

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.asking.stop_rules import StopRules
from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.store.store import Description, DescriptionStore
from gpt4image.progress import Tracker


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to one ask and what it took."""

    reply: Reply
    attempts: int
    seconds: float


@dataclass
class Recorder:
    """Where the answers of a run go."""

    store: DescriptionStore
    describer: str
    tally: Tally
    rules: StopRules
    tracker: Tracker

    def record(self, ask: Ask, answer: Answer, in_flight: int = 0) -> None:
        """Stores one answer; it is on disk when this returns."""
        self.store.write([to_description(ask, self.describer, answer)])
        self.tally.note(answer.reply, answer.seconds, is_redone=ask.old is not None)
        self.tracker.advance(1, self.tally.progress_note(in_flight))


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

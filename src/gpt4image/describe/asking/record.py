"""Stores each answer the moment it is there, counts it, and shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.asking.stop_rules import StopRules
from gpt4image.describe.asking.structured import read_fields, to_rows
from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.store.rows import Description
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.progress import Tracker, say

MOST_MODELS = 5
"""Some endpoints call the model by another name in every answer."""


@dataclass
class Recorder:
    """Where the answers of a run go.

    Attributes:
        store: where they are kept.
        describer: whose they are.
        rules: when to stop.
        tracker: the progress bar.
        model: the model that is asked for, None if that is nobody's choice.
    """

    store: DescriptionStore
    describer: str
    rules: StopRules
    tracker: Tracker
    model: str | None = None

    @property
    def tally(self) -> Tally:
        return self.rules.tally

    def record(self, ask: Ask, reply: Reply, in_flight: int = 0) -> None:
        """Stores one reply; it is on disk when this returns."""
        self.record_all([(ask, reply)])
        self.tracker.advance(1, self.tally.progress_note(in_flight))

    def record_all(self, answered: Sequence[tuple[Ask, Reply]]) -> None:
        """Stores replies in one write, and counts them."""
        read = [(ask, *read_fields(reply, ask.prompt.fields)) for ask, reply in answered]
        self.store.write(
            row for ask, reply, values in read for row in to_rows(to_description(ask, self.describer, reply), values)
        )
        for ask, reply, _ in read:
            self.tally.note(reply, is_redone=ask.old is not None)
            self._note_model(reply.model)

    def _note_model(self, model: str) -> None:
        """Says once, and keeps, that another model answers than the one asked for."""
        known = self.tally.models
        if not model or not self.model or model in known or len(known) == MOST_MODELS or _is_same(model, self.model):
            return
        known.append(model)
        self.store.note_model(self.describer, model)
        others = ", and perhaps by others, which are not told" if len(known) == MOST_MODELS else ""
        say(f"asked for the model {self.model}, answered by {model}, as the endpoint says{others}")


def _is_same(answering: str, asked: str) -> bool:
    """Whether two names mean one model: the same, or one with its folder, file ending or tag."""
    short = [name.rstrip("/").rpartition("/")[2].lower() for name in (answering, asked)]
    return short[0] == short[1] or short[0].removesuffix(":latest") == short[1].removesuffix(":latest")


def to_description(ask: Ask, describer: str, reply: Reply) -> Description:
    """The row of a reply; tokens and attempts of a description it replaces are counted on."""
    values = reply.columns
    if ask.old is not None:
        values |= {name: values[name] + getattr(ask.old, name) for name in ("tokens_in", "tokens_out", "attempts")}
    return Description(ask.digest, ask.prompt.name, describer, ask.sample, max_tokens=ask.request.max_tokens, **values)

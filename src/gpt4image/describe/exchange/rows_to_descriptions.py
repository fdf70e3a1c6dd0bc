"""Makes descriptions of rows: answers to batch requests, rows of our own export, or texts beside a path."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from gpt4image.describe.asking.refusals import judge_text
from gpt4image.describe.asking.reply import Reply, UnusableReplyError, parse_reply
from gpt4image.describe.asking.structured import missing_fields, read_fields, to_rows
from gpt4image.describe.endpoint.failures import read_words
from gpt4image.describe.exchange.batch import parse_custom_id
from gpt4image.describe.prompts.fields import fields_of
from gpt4image.describe.prompts.pick_names import is_answer
from gpt4image.describe.replay.matching import ImageMatcher
from gpt4image.describe.replay.rows import TEXT_FIELDS, Row
from gpt4image.describe.replay.texts import check_characters, read_texts, show_value
from gpt4image.describe.store.rows import COLUMNS, Description, Name
from gpt4image.describe.store.states import SETTLED, State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import DescriptionError

LARGEST = 1 << 63
COUNTS = ("sample", "tokens_in", "tokens_out", "attempts", "max_tokens")
NUMBERS: dict[str, Any] = {**dict.fromkeys(COUNTS, int), "seconds": float}


class RowReader:
    """Turns rows into descriptions.

    Attributes:
        num_matched: rows about images that are known.
        num_unknown: rows about others.
        num_without_text: rows about images that are known, but without any text.
        num_unreadable: rows about images that cannot be read.
        example: such a row, in short.
    """

    def __init__(
        self,
        store: DescriptionStore,
        matcher: ImageMatcher,
        fields: Sequence[str],
        prompt: str | None,
        describer: str,
        unreadable: Collection[int] = (),
    ) -> None:
        self._store, self._matcher = store, matcher
        self._fields, self._prompt, self._describer, self._unreadable = fields, prompt, describer, unreadable
        self._samples: Counter[tuple[str, str]] = Counter()
        self.num_matched = self.num_unknown = self.num_without_text = self.num_unreadable = 0
        self.example = ""

    def read(self, rows: Iterator[Row]) -> Iterator[Description]:
        """Yields the descriptions of all rows about images that are known."""
        for row in rows:
            found = list(self._read_answer(row) if "custom_id" in row else self._read_row(row))
            self.num_matched += bool(found)
            yield from found

    def _read_answer(self, row: Row) -> Iterator[Description]:
        """An answer of OpenAI's Batch API or `vllm run-batch`."""
        parts = parse_custom_id(str(row["custom_id"]))
        digest = parts and self._store.find_digest(parts[0])
        batch = parts and self._store.find_batch(parts[1])
        if not parts or not digest or not batch:
            self._note_unknown(row)
            return
        prompt, describer, max_tokens = batch
        reply = _reply_of(row, as_json="+" in prompt)
        reply, values = read_fields(reply, fields_of(prompt))
        main = Description(digest, prompt, describer, parts[2], max_tokens=max_tokens, **reply.columns)
        rows = to_rows(main, values)
        is_kept_out = main.state not in SETTLED and self._store.holds(main)
        if (stale := missing_fields(rows)) and not is_kept_out:
            # What an earlier answer said beside its description is no part of this one.
            self._store.remove(Name(digest, name, describer, parts[2]) for name in stale)
        yield from rows

    def _read_row(self, row: Row) -> Iterator[Description]:
        position = self._matcher.find(row)
        if position is None:
            self._note_unknown(row)
            return
        digest = self._matcher.digest(position)
        if {"prompt", "describer", "state", "text"} <= row.keys():
            yield _own_row(row, digest)
            return
        if position in self._unreadable:
            self.num_unreadable += 1
            return
        names = self._fields or [name for name in TEXT_FIELDS if row.get(name)][:1]
        texts = [(self._prompt or name, text) for name in names for text in read_texts(row, name)]
        self.num_without_text += not texts
        for prompt, text in texts:
            # Several rows about one image, or several texts in one row, are samples.
            sample = self._samples[digest, prompt]
            self._samples[digest, prompt] += 1
            state = State.OK if is_answer(prompt) else judge_text(text)
            yield Description(digest, prompt, self._describer, sample, state=state, text=text, attempts=0)

    def _note_unknown(self, row: Row) -> None:
        self.num_unknown += 1
        shown = {name: value if isinstance(value, str) else show_value(value) for name, value in row.items()}
        self.example = self.example or json.dumps(shown, ensure_ascii=False)[:120]


def _own_row(row: Row, digest: str) -> Description:
    """A row of our own export, every column as it was."""
    if row["state"] not in set(State):
        raise DescriptionError(
            f"{row.place}: state {show_value(row['state'])!r} is unknown; choose from {', '.join(State)}"
        )
    values = {name: _own_value(row, name) for name in COLUMNS if row.get(name) is not None}
    return Description(**(values | {"digest": digest}))


def _own_value(row: Row, name: str) -> Any:
    if name not in NUMBERS:
        return check_characters(row, name, str(row[name]))
    try:
        value = NUMBERS[name](row[name])
    except (ValueError, TypeError, OverflowError):
        value = None
    if value is None or not 0 <= value < LARGEST:
        raise DescriptionError(
            f"{row.place} holds {show_value(row[name])!r} in {name!r}; it must be a number from 0 on"
        )
    return value


def _reply_of(row: Row, as_json: bool) -> Reply:
    response = row.get("response") or {}
    body, error = response.get("body"), row.get("error")
    if error or response.get("status_code", 200) != 200 or body is None:
        told = error or body or response
        return Reply(State.ENDPOINT_ERROR, error=read_words(json.dumps(told, ensure_ascii=False)))
    try:
        return parse_reply(json.dumps(body).encode(), as_json)
    except UnusableReplyError as unusable:
        return unusable.as_reply()

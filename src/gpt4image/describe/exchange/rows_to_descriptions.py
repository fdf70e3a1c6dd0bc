"""Makes descriptions of rows: answers to batch requests, rows of our own export, or texts beside a path."""

import json
from collections.abc import Iterator, Sequence

from gpt4image.describe.asking.refusals import judge_text
from gpt4image.describe.asking.reply import Reply, UnusableReplyError, parse_reply
from gpt4image.describe.endpoint.failures import read_words
from gpt4image.describe.exchange.batch import parse_custom_id
from gpt4image.describe.replay.matching import ImageMatcher
from gpt4image.describe.replay.rows import TEXT_FIELDS, Row
from gpt4image.describe.store.rows import COLUMNS, Description
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import DescriptionError

NUMBERS = {"sample": int, "tokens_in": int, "tokens_out": int, "attempts": int, "max_tokens": int, "seconds": float}


class RowReader:
    """Turns rows into descriptions.

    Attributes:
        num_matched: rows about images that are known.
        num_unknown: rows about others.
        example: such a row, in short.
    """

    def __init__(
        self, store: DescriptionStore, matcher: ImageMatcher, fields: Sequence[str], prompt: str | None, describer: str
    ) -> None:
        self._store, self._matcher = store, matcher
        self._fields, self._prompt, self._describer = fields, prompt, describer
        self.num_matched = self.num_unknown = 0
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
        yield Description(digest, prompt, describer, parts[2], max_tokens=max_tokens, **reply.columns)

    def _read_row(self, row: Row) -> Iterator[Description]:
        position = self._matcher.find(row)
        if position is None:
            self._note_unknown(row)
            return
        digest = self._matcher.digest(position)
        if {"prompt", "describer", "state", "text"} <= row.keys():
            yield _own_row(row, digest)
            return
        names = self._fields or [name for name in TEXT_FIELDS if row.get(name)][:1]
        for name in names:
            text = str(row.get(name) or "").strip()
            if text:
                yield Description(
                    digest, self._prompt or name, self._describer, state=judge_text(text), text=text, attempts=0
                )

    def _note_unknown(self, row: Row) -> None:
        self.num_unknown += 1
        self.example = self.example or json.dumps(row, ensure_ascii=False, default=str)[:120]


def _own_row(row: Row, digest: str) -> Description:
    """A row of our own export, every column as it was."""
    values = {name: NUMBERS.get(name, str)(row[name]) for name in COLUMNS if row.get(name) is not None}
    try:
        return Description(**(values | {"digest": digest}))
    except ValueError as error:
        raise DescriptionError(f"state {values['state']!r} is unknown; choose from {', '.join(State)}") from error


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

"""What the gallery's server answers about labels."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from gpt4image.report.labels.queue import LONGEST_NAME, ReviewQueue
from gpt4image.report.page import make_environment

LONGEST_NUMBER = 10
"""Digits; more are no rank of any image."""
CHANGES = {"/labels/answer": False, "/labels/undo": True}
"""Whether the answer at each address is taken back."""


class Reply(NamedTuple):
    """What is sent back."""

    status: HTTPStatus
    kind: str
    body: bytes
    headers: Mapping[str, str]


def reply_to_get(queue: ReviewQueue, title: str, path: str, query: Mapping[str, Sequence[str]]) -> Reply | None:
    """The page, or what it asks for; None if there is no such address.

    Raises:
        LabelError: a value that cannot be.
        ValueError: no number where one is needed, or a word that is too long.
    """
    match path:
        case "/labels":
            page = (
                make_environment().get_template("labels/page.html.j2").render(title=title, name=queue.table.folder.name)
            )
            return Reply(HTTPStatus.OK, "text/html; charset=utf-8", page.encode(), {})
        case "/labels/facts":
            return reply_with(queue.facts(_word(query, "who")))
        case "/labels/next":
            return reply_with(queue.following(_number(query, "after"), _number(query, "count"), _word(query, "page")))
        case "/labels/image":
            return reply_with(queue.image(_word(query, "digest")))
        case "/labels/answers.jsonl":
            lines = queue.file.read_bytes() if queue.file.exists() else b""
            headers = {"Content-Disposition": 'attachment; filename="answers.jsonl"'}
            return Reply(HTTPStatus.OK, "application/jsonl; charset=utf-8", lines, headers)
    return None


def reply_to_change(queue: ReviewQueue, path: str, request: dict[str, Any]) -> Reply:
    """Carries out a change; CONFLICT if somebody else was faster.

    Raises:
        LabelError: it cannot be done.
        KeyError, TypeError: the request lacks something.
    """
    written, state = queue.change(request, undo=CHANGES[path])
    return reply_with(state, HTTPStatus.OK if written else HTTPStatus.CONFLICT)


def reply_with(value: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Reply:
    """A value as JSON."""
    return Reply(status, "application/json", json.dumps(value).encode(), {})


def _word(query: Mapping[str, Sequence[str]], name: str) -> str:
    word = query.get(name, [""])[0]
    if len(word) > LONGEST_NAME:
        raise ValueError(f"{name} has {len(word)} letters; at most {LONGEST_NAME} are taken")
    return word


def _number(query: Mapping[str, Sequence[str]], name: str) -> int:
    word = _word(query, name)
    if len(word) > LONGEST_NUMBER:
        raise ValueError(f"{name} has {len(word)} digits; at most {LONGEST_NUMBER} are taken")
    return int(word)

"""Whatever an endpoint does, what the run says it took is what the endpoint bills, and no half text counts as whole."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.describe.endpoint.stubs import USAGE, Answer, Asked, completion, failure, is_plain

from gpt4image.describe.endpoint.options import EndpointOptions

PRICES = ["--usd-per-million-input", "1000", "--usd-per-million-output", "3000"]
HALF = "A half"
SCHEMA = '{"type": "object", "properties": {"colour": {"type": "string"}}}'


def in_turns(*answers: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    return lambda asked: answers[asked.number % len(answers)](asked)


def whole(asked: Asked) -> Answer:
    return completion(asked.text)


def thinks(asked: Asked) -> Answer:
    """Its thinking stands in the total alone."""
    return completion(asked.text, usage={"prompt_tokens": 200, "completion_tokens": 20, "total_tokens": 920})


def ends(reason: str) -> Callable[[Asked], Answer]:
    return lambda asked: completion(HALF, reason)


def thinks_past_the_limit(asked: Asked) -> Answer:
    limit = asked.body.get("max_completion_tokens")
    if limit is None:
        return failure(400, "max_tokens is not for this model, take max_completion_tokens", param="max_tokens")
    usage = {"prompt_tokens": 300, "completion_tokens": limit, "total_tokens": 300 + limit}
    return completion("", "length", usage)


def wants_small(asked: Asked) -> Answer:
    return failure(413, "too large") if asked.picture_bytes > 3000 else completion(asked.text)


def knows_no_schema(asked: Asked) -> Answer:
    if "response_format" in asked.body:
        return failure(400, "response_format json_schema is not here")
    return completion('{"colour": "grey",}')


KINDS: Mapping[str, Callable[[Asked], Answer]] = {
    "whole": whole,
    "thinking in the total": thinks,
    "input_tokens": lambda asked: completion(asked.text, usage={"input_tokens": 200, "output_tokens": 20}),
    "tags": lambda asked: completion(f"<think>Half of it.</think>{asked.text}</s>"),
    "cut": in_turns(whole, ends("length")),
    "failed in the middle": in_turns(whole, ends("error"), whole, whole, ends("abort")),
    "refused": in_turns(whole, ends("SAFETY")),
    "blocked": in_turns(whole, lambda asked: Answer({"id": "1", "choices": [], "usage": USAGE})),
    "thinking past the limit": thinks_past_the_limit,
    "empty": in_turns(whole, lambda asked: completion("")),
    "free failures": in_turns(whole, lambda asked: failure(500, "oops"), lambda asked: failure(429, "wait 10 ms")),
    "too large": wants_small,
    "no schema": knows_no_schema,
    "failures at the end": lambda asked: failure(500, "oops") if 36 < asked.number <= 46 else whole(asked),
    "flagged": in_turns(lambda asked: failure(403, "flagged"), *[whole] * 4),
    "credit ends": lambda asked: whole(asked) if asked.number <= 20 else failure(402, "no credit left"),
    "dies behind its gateway": lambda asked: whole(asked) if asked.number <= 20 else failure(502, "nobody behind me"),
    "asks to wait a day": lambda asked: (
        whole(asked) if asked.number <= 20 else failure(429, "enough", {"Retry-After": "86400"})
    ),
}


def read_bill(answer: Answer) -> tuple[int, int]:
    """What the endpoint bills for an answer: tokens read and written."""
    usage: Mapping[str, Any] = answer.body.get("usage", {}) if answer.status == 200 else {}
    read = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    written = usage.get("completion_tokens", usage.get("output_tokens", 0))
    return read, max(written, usage.get("total_tokens", 0) - read)


def is_whole(answer: Answer) -> bool:
    return b"A grey thing" in answer.payload or b"colour" in answer.payload


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_to_be_taken_is_what_the_endpoint_bills(describing, tmp_path, monkeypatch, kind: str) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.retries.FIRST_PAUSE_S", 0.01)
    (tmp_path / "schema.json").write_text(SCHEMA)
    sent: list[tuple[Asked, Answer]] = []

    def respond(asked: Asked) -> Answer:
        sent.append((asked, KINDS[kind](asked)))
        return sent[-1][1]

    stub = describing.serve(respond)
    schema = ["--schema", str(tmp_path / "schema.json")] if kind == "no schema" else []
    run = describing.run(stub.url, options=[*PRICES, *schema, "--max-wait", "2"])
    read, written = (sum(counts) for counts in zip(*(read_bill(answer) for _, answer in sent), strict=True))
    told = re.search(r"tokens: ([\d,]+) read, ([\d,]+) written, \$([\d.]+)", run.out)
    assert told is not None
    tokens = [int(number.replace(",", "")) for number in told.groups()[:2]]
    assert tokens == pytest.approx([read, written], rel=0.2)
    assert float(told[3]) == pytest.approx((1000 * read + 3000 * written) / 1e6, rel=0.2)
    assert sum(row.tokens_in + row.tokens_out for row in run.rows) == pytest.approx(read + written, rel=0.2)
    assert not [row for row in run.rows if row.state == "ok" and HALF in row.text]
    whole_answers = [asked for asked, answer in sent if is_whole(answer)]
    pictures = [asked.picture for asked in whole_answers if not is_plain(asked)]
    assert run.states.get("ok", 0) == len(pictures) == len(set(pictures)), (
        "none that was answered is lost or asked again"
    )
    # A good picture is asked about if eight failures come in a row, and before a picture's last retry.
    failed = Counter(asked.picture for asked, answer in sent if not is_whole(answer) and not is_plain(asked))
    at_their_last = sum(number > EndpointOptions.retries for number in failed.values())
    assert len(whole_answers) - len(pictures) <= (kind == "failures at the end") + at_their_last

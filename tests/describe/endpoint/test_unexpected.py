"""Bodies that nobody expects: stored cleaned, asked again, or one line; never a traceback."""

import json

import pytest
from tests.describe.endpoint.stubs import USAGE, Answer, Asked, completion

FINISHES = ["error", "abort", "network_error", "load", "OTHER"]


def one_in_four(asked: Asked) -> bool:
    return int(asked.picture, 16) % 4 == 0


@pytest.mark.parametrize("escape", ["\\ud83d", "\\u0000", "\\udc00\\ud800"])
def test_half_an_emoji_and_nul_are_stored_cleaned(describing, escape: str) -> None:
    def respond(asked: Asked) -> Answer:
        body = json.dumps(completion(asked.text + " MARK").body)
        return Answer(body.replace("MARK", escape) if asked.number == 5 else body)

    run = describing.run(describing.serve(respond).url)
    assert (run.status, run.states) == (0, {"ok": 40})
    for row in run.rows:
        assert "\0" not in row.text
        row.text.encode()


def test_a_whole_emoji_is_kept() -> None:
    from gpt4image.describe.store.rows import Description

    assert Description("d", "p", "m", text="a \ud83d\ude00 b").text == "a 😀 b"


@pytest.mark.parametrize("usage", [{"prompt_tokens": 200, "completion_tokens": 0}, "none"])
def test_no_choice_at_all_is_refused_and_asked_for_once(describing, usage) -> None:
    def respond(asked: Asked) -> Answer:
        blocked = {"id": "1", "choices": []} | ({} if usage == "none" else {"usage": usage})
        return Answer(blocked) if one_in_four(asked) else completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url)
    num_blocked = sum(map(one_in_four, stub.asked))
    assert run.states == {"ok": 40 - num_blocked, "refused": num_blocked}
    assert len(stub.asked) == 40
    assert "no choice in the answer" in run.out


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "many",
        {"prompt_tokens": "x"},
        {"prompt_tokens": [1]},
        {"prompt_tokens": -5},
        {"completion_tokens": 1e400},
    ],
)
def test_usage_of_any_form_is_read_or_left(describing, usage) -> None:
    run = describing.run(describing.serve(lambda asked: completion(asked.text, usage=usage)).url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert all(row.tokens_in == 0 for row in run.rows)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"choices": "none"}',
        '{"choices": [null]}',
        '{"choices": [{"message": "A text"}]}',
        "null",
        "7",
        b"\xff\xfe\x00",
        "",
    ],
)
def test_bodies_that_are_no_completion_are_asked_for_again(describing, body) -> None:
    seen: set[str] = set()

    def respond(asked: Asked) -> Answer:
        is_first = asked.picture not in seen and asked.number % 10 == 0
        seen.add(asked.picture)
        return Answer(body) if is_first else completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert 40 < len(stub.asked) <= 46


def test_half_texts_are_never_ok_and_what_they_took_is_counted(describing) -> None:
    seen: dict[str, int] = {}

    def respond(asked: Asked) -> Answer:
        seen[asked.picture] = seen.get(asked.picture, 0) + 1
        if seen[asked.picture] == 1:
            return completion("HALF of a text about", FINISHES[asked.number % len(FINISHES)])
        return completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert not any("HALF" in row.text for row in run.rows)
    assert sum(row.tokens_in for row in run.rows) == len(stub.asked) * USAGE["prompt_tokens"] == 80 * 200
    assert sum(row.tokens_out for row in run.rows) == len(stub.asked) * USAGE["completion_tokens"]


def test_a_megabyte_of_text_is_no_description(describing) -> None:
    run = describing.run(
        describing.serve(lambda asked: completion("word " * 200_000)).url, options=["--in-flight", "4"]
    )
    assert (run.status, run.states) == (3, {"truncated": 40})
    assert "no description is that long" in run.out

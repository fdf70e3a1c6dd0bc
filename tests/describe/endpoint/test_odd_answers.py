"""Answers as some servers and gateways send them: read as they are meant, or told in their words after few requests."""

import json
from collections.abc import Mapping

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure, is_plain

HALF = "HALF of a text that ends in the"
OFTEN = {"prompt_tokens": 200, "completion_tokens": 512, "total_tokens": 712}


def packed(text: str, headers: Mapping[str, str] = {}, encoding: str = "utf-8") -> Answer:
    return Answer(text.encode(encoding), headers=headers)


def dumped(asked: Asked) -> str:
    return json.dumps(completion(f"{asked.text} caf\xe9").body, ensure_ascii=False)


@pytest.mark.parametrize(
    "respond",
    [
        pytest.param(
            lambda text: packed(text, {"Content-Type": "application/json; charset=ISO-8859-1"}, "latin-1"), id="latin-1"
        ),
        pytest.param(
            lambda text: packed(text, {"Content-Type": "application/json; charset=who-knows"}), id="no charset"
        ),
        pytest.param(lambda text: packed(text, encoding="utf-8-sig"), id="byte order mark"),
        pytest.param(lambda text: packed(text.replace("ground", "gro\nund")), id="line end in a text"),
        pytest.param(lambda text: packed(f": PROCESSING\n\n: PROCESSING\n\n{text}"), id="comments before it"),
        pytest.param(lambda text: packed(f"data: {text}\n\ndata: [DONE]\n\n"), id="one event"),
        pytest.param(
            lambda text: packed(text, {"X-Name": "\xf1".encode().decode("latin-1")}), id="a header beyond ASCII"
        ),
        pytest.param(lambda text: packed(text.replace('"stop"', '"FinishReason.STOP"')), id="an enumeration"),
        pytest.param(lambda text: packed(text.replace("200,", '"200.0",')), id="usage in strings"),
        pytest.param(lambda text: packed(text[:-1] + ', "error": {"message": "", "code": 0}}'), id="an empty error"),
        pytest.param(lambda text: packed(text[:-1] + ', "errors": [], "detail": null}'), id="no errors"),
    ],
)
def test_whole_answers_are_read_whatever_they_come_in(describing, respond) -> None:
    stub = describing.serve(lambda asked: respond(dumped(asked)))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert all("A grey thing" in row.text and row.text.endswith("café") for row in run.rows)
    assert all((row.tokens_in, row.tokens_out) == (200, 20) for row in run.rows)


def test_half_a_character_spoils_itself_alone(describing) -> None:
    stub = describing.serve(lambda asked: packed(dumped(asked), encoding="latin-1"))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert all(row.text.endswith("caf\ufffd") for row in run.rows)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (completion(HALF, "FinishReason.MAX_TOKENS"), "truncated"),
        (completion(HALF, "max_new_tokens"), "truncated"),
        (completion(HALF, "stop", OFTEN), "truncated"),
        (completion(HALF, None, OFTEN), "truncated"),
        (completion("", "stop", OFTEN), "reasoning_only"),
        (completion("A whole text that ends at the limit.", "stop", OFTEN), "ok"),
        (completion(["A whole text, ", {"type": "text", "text": "in parts"}]), "ok"),
        (completion([{"type": "refusal", "refusal": "Not this one."}]), "refused"),
        (completion("", message={"thinking": "What is it?"}), "reasoning_only"),
        (completion(None, message={"reasoning_details": [{"summary": "What is it?"}]}), "reasoning_only"),
    ],
)
def test_half_texts_refusals_and_thoughts_are_seen_as_such(describing, answer: Answer, state: str) -> None:
    stub = describing.serve(lambda asked: answer)
    assert describing.run(stub.url).states == {state: 40}
    assert len(stub.asked) == 40


@pytest.mark.parametrize(
    ("native", "state"), [("MAX_TOKENS", "truncated"), ("SAFETY", "refused"), ("STOP", "ok"), (None, "ok")]
)
def test_what_a_gateway_was_told_itself_counts_too(describing, native, state: str) -> None:
    body = completion("A text").body
    body["choices"][0]["native_finish_reason"] = native
    assert describing.run(describing.serve(lambda asked: Answer(body)).url).states == {state: 40}


@pytest.mark.parametrize("place", ["body", "choice"])
def test_an_error_beside_a_text_makes_it_no_whole_one(describing, place: str) -> None:
    pictures: set[str] = set()

    def respond(asked: Asked) -> Answer:
        if asked.number % 3 or asked.picture in pictures:
            return completion(asked.text)
        pictures.add(asked.picture)
        body = completion(HALF, None).body
        (body if place == "body" else body["choices"][0])["error"] = {"message": "upstream broke", "code": 502}
        return Answer(body)

    stub = describing.serve(respond)
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert not any(HALF in row.text for row in run.rows)
    assert sum(row.tokens_in for row in run.rows) == 200 * len(stub.asked) == 200 * (40 + len(pictures))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer({"code": 402, "message": "your balance is used up"}),
            "status 402: the reply is no chat completion but an error: your",
        ),
        (Answer({"code": "401", "msg": "token is over", "data": None}), "token is over; check the API key"),
        (Answer({"object": "error", "message": "no model m", "code": 404}), "no model m; check --endpoint, --model"),
        (Answer({"success": False, "errors": [{"code": 7003, "message": "no route"}]}), "but an error: no route"),
        (Answer({"error_code": 17, "error_msg": "enough for now"}), "but an error: enough for now"),
        (Answer({"errors": [{"code": 7003, "message": "no route"}]}, 400), "(status 400: no route)"),
        (Answer({"errors": ["no key"]}, 401), "status 401: no key; check the API key"),
        (
            Answer({"detail": [{"loc": ["body", "messages", 0], "msg": "no list"}]}, 422),
            "(status 422: body.messages.0: no list)",
        ),
        (Answer('\ufeff{"error": {"message": "no field"}}', 400), "(status 400: no field)"),
        (failure(429, "您的账户已欠费"), "status 429: 您的账户已欠费; add credit"),
        (failure(403, "you have used all available credits"), "status 403: you have used all"),
        (Answer("400 The plain HTTP request was sent to HTTPS port", 400), "write https:// in --endpoint"),
        (Answer("", cut_at=0), "the connection broke: ServerDisconnectedError"),
        (completion("A text", "done"), "(1,600 tokens were read and 160 written)"),
    ],
)
def test_errors_of_any_form_are_told_in_their_words_after_few_requests(describing, answer: Answer, words: str) -> None:
    stub = describing.serve(lambda asked: answer)
    run = describing.run(stub.url, options=["--in-flight", "1"])
    assert (run.status, run.rows) == (2, [])
    assert words in run.words
    assert len(stub.asked) <= 16


def test_failures_that_are_told_apart_by_their_numbers_alone_are_alike(describing) -> None:
    stub = describing.serve(lambda asked: failure(500, f"broken, request req_{asked.picture}x{asked.number}"))
    run = describing.run(stub.url)
    assert (run.status, run.rows) == (2, [])
    assert len(stub.asked) <= 16


def test_failures_without_end_that_are_never_alike_end(describing, monkeypatch) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.retries.FIRST_PAUSE_S", 0.01)
    letters = "abcdefghijklmnopqrstuvwxyz"
    stub = describing.serve(lambda asked: failure(500, f"broken in {letters[asked.number % 26] * 3}"))
    run = describing.run(stub.url)
    assert (run.status, run.rows) == (2, [])
    assert len(stub.asked) <= 40


def test_more_than_a_minute_may_take_is_a_picture_that_is_too_large(describing) -> None:
    answer = failure(429, "Request too large on tokens per minute: limit 3000, asked 4500", code="rate_limit_exceeded")
    stub = describing.serve(lambda asked: answer if asked.picture_bytes > 12_000 else completion(asked.text))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(stub.asked) == 50


@pytest.mark.parametrize(("number", "told"), [(3, 3), (9, 5)])
def test_models_of_many_names_are_told_a_few_times(describing, number: int, told: int) -> None:
    stub = describing.serve(lambda asked: completion(asked.text, model=f"other-{asked.number % number}" + "x" * 1000))
    run = describing.run(stub.url)
    assert run.words.count("asked for the model m, answered by other-") == told
    assert ("by others, which are not told" in run.words) == (number > told)
    assert max(map(len, run.err.splitlines())) < 400


@pytest.mark.parametrize("host", ["127.0.0.1:9x", "[::1", "127.0.0.1:99999", "me:secret@[::1"])
def test_addresses_that_are_none_are_one_line(describing, host: str) -> None:
    run = describing.run(f"http://{host}/v1")
    assert run.status == 2
    assert "must be a URL such as http://localhost:8000/v1" in run.err
    assert "secret" not in run.err


def test_organisations_are_told_to_openai_alone(describing, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-1")
    stub = describing.serve(lambda asked: completion(asked.text))
    assert describing.run(f"{stub.url} ").status == 0
    assert not [asked for asked in stub.asked if {"openai-organization", "openai-project"} & asked.headers.keys()]


@pytest.mark.parametrize("kinds", [(400,), (400, 500), (422, 400)])
@pytest.mark.parametrize("options", [(), ("--in-flight", "1")])
def test_an_endpoint_that_takes_plain_pictures_alone_spoils_none(describing, monkeypatch, kinds, options) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.retries.FIRST_PAUSE_S", 0.01)

    def respond(asked: Asked) -> Answer:
        status = kinds[int(asked.picture, 16) % len(kinds)]
        return completion(asked.text) if is_plain(asked) else failure(status, "I cannot work on this")

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=options)
    assert (run.status, run.rows) == (2, [])
    assert "takes a plain picture, but none of the first 8 of these (status " in run.words
    assert "I cannot work on this" in run.words
    assert len(stub.asked) <= 60
    better = describing.serve(lambda asked: completion(asked.text))
    assert describing.run(better.url).states == {"ok": 40}


@pytest.mark.parametrize("number", [2, 7])
def test_a_few_pictures_that_fail_first_are_recorded_all_the_same(describing, number: int) -> None:
    for path in sorted(describing.folder.rglob("*.jpg"))[number:]:
        path.unlink()
    stub = describing.serve(lambda asked: completion(asked.text) if is_plain(asked) else failure(400, "not this one"))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (3, {"endpoint_error": number})
    again = describing.run(stub.url, options=["--retry-failed"])
    assert (again.status, again.states) == (3, {"endpoint_error": number})


def test_pictures_that_fail_first_are_recorded_once_another_is_answered(describing) -> None:
    pictures: set[str] = set()

    def respond(asked: Asked) -> Answer:
        if not is_plain(asked) and len(pictures) < 4:
            pictures.add(asked.picture)
        return failure(400, "not this one") if asked.picture in pictures else completion(asked.text)

    run = describing.run(describing.serve(respond).url, options=["--in-flight", "1"])
    assert (run.status, run.states) == (3, {"ok": 36, "endpoint_error": 4})

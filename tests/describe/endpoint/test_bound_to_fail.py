"""Endpoints that will never answer: few requests, nothing recorded, the server's own words."""

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

ONLY_STREAMS = Answer('data: {"choices": [{"delta": {"content": "A"}}]}\n\ndata: [DONE]\n\n')


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (failure(500, "no mmproj: no pictures"), "no mmproj: no pictures; start the server with"),
        (failure(402, "your balance is used up"), "status 402: your balance is used up; add credit"),
        (failure(400, "this API key is none of ours"), "none of ours); check the API key (--api-key-env"),
        (failure(500, "AuthenticationError from upstream"), "from upstream; check the API key"),
        (failure(404, "nobody here can support image input"), "use a vision model"),
        (failure(400, "Budget has been exceeded: 10 of 10"), "10 of 10; check --endpoint"),
        (failure(410, "this model has retired"), "this model has retired; the model is retired"),
        (failure(401, "bad key"), "bad key; check the API key"),
        (failure(404, "no model m here"), "no model m here; check --endpoint, --model"),
        (failure(403, "not in your region"), "takes no picture at all (status 403: not in your region)"),
        (failure(400, "at most 0 pictures, please"), "(status 400: at most 0 pictures, please)"),
        (failure(500, "disk 7 on fire"), "has answered nothing, and the first requests all failed: status 500: disk"),
        (failure(429, "insufficient_quota", type="insufficient_quota"), "status 429: insufficient_quota; add credit"),
        (Answer({"error": {"message": "no credit left", "code": 402}}), "no credit left; add credit"),
        (Answer({"error": {"message": "gone", "code": "410"}}), "gone; the model is retired"),
        (Answer({"error": "what is this path?"}), "what is this path?"),
        (Answer([{"error": {"message": "bad key", "code": 401}}]), "bad key; check the API key"),
        (Answer("<html><title>Hello</title></html>"), "no chat completion: '<html><title>Hello"),
        (Answer('{"message": {}, "done": false}\n{"done": true}'), "an endpoint that does not only stream"),
        (Answer("<html><style>a{}</style><b>Go away</b></html>", 403), "(status 403: Go away)"),
        (ONLY_STREAMS, "an endpoint that does not only stream"),
        (Answer('data: {"error": {"message": "no such field"}}\n\n', 400), "(status 400: no such field)"),
        (Answer('event: error\ndata: {"error": {"message": "no funds", "code": 402}}\n\n'), "no funds; add credit"),
        (Answer("", 301, {"Location": "https://other.example/v1/chat/completions"}), "https://other.example/v1;"),
        (Answer("", 302, {"Location": "/login"}), "sends on to /login; no image and no key is sent there"),
    ],
)  # fmt: skip
def test_what_never_answers_is_one_line_after_few_requests(describing, answer: Answer, words: str) -> None:
    stub = describing.serve(lambda asked: answer)
    run = describing.run(stub.url)
    assert run.status == 2
    assert words in run.words
    assert run.err.strip().splitlines()[-1].startswith("gpt4image describe: ")
    assert run.rows == []
    assert len(stub.asked) <= 20


def test_many_at_once_and_no_retries_make_no_more_of_them(describing) -> None:
    stub = describing.serve(lambda asked: failure(500, f"broken, request {asked.number}", seconds=0.1))
    run = describing.run(stub.url, options=["--in-flight", "64", "--retries", "0"])
    assert (run.status, run.rows) == (2, [])
    assert len(stub.asked) <= 16


def test_too_many_requests_from_the_first_on_are_no_mistake_and_stop_with_status_4(describing, monkeypatch) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.retries.FIRST_PAUSE_S", 0.01)
    stub = describing.serve(lambda asked: failure(429, "slow down"))
    run = describing.run(stub.url)
    assert run.status == 4
    assert "stopped: " in run.out
    assert "status 429: slow down; try again later" in run.words
    assert len(stub.asked) <= 60


def test_a_few_failures_at_the_start_are_borne(describing) -> None:
    stub = describing.serve(lambda asked: failure(500, "hiccup") if asked.number <= 7 else completion(asked.text))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(stub.asked) == 47


def test_a_forgotten_v1_is_tried_and_said(describing) -> None:
    def respond(asked: Asked) -> Answer:
        if not asked.path.startswith("/v1/"):
            return Answer({"error": f"unknown path {asked.path}"})
        return completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.root)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert f"{stub.root} has no /chat/completions, but {stub.url} has: give that as --endpoint" in run.words
    assert len(stub.asked) <= 40 + 8


def test_no_v1_either_is_told_in_the_first_words(describing) -> None:
    stub = describing.serve(lambda asked: failure(404, f"nothing at {asked.path}"))
    run = describing.run(stub.root)
    assert run.status == 2
    assert "nothing at /chat/completions" in run.words


def test_a_useless_endpoint_leaves_the_work_to_the_other(describing) -> None:
    bad = describing.serve(lambda asked: failure(402, "no credit"))
    good = describing.serve(lambda asked: completion(asked.text))
    run = describing.run(bad.url, good.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert "no credit; add credit" in run.words
    assert "the other endpoints do its work" in run.words
    assert len(bad.asked) <= 8


@pytest.mark.parametrize("state", ["endpoint_error", "refused"])
def test_stops_and_the_table_name_the_most_frequent_reason(describing, state: str) -> None:
    def respond(asked: Asked) -> Answer:
        if asked.number % 2:
            return completion(asked.text)
        if state == "refused":
            return completion("", "content_filter", message={"refusal": "We do not like this one."})
        return failure(422, "pictures of this kind overheat us")

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--max-failures", "10%", "--in-flight", "1"])
    reason = "We do not like this one." if state == "refused" else "pictures of this kind overheat us"
    assert run.status in (3, 4)
    assert reason in run.words
    again = describing.serve(respond)
    options = ["--max-failures", "3", "--in-flight", "1"]
    run = describing.run(again.url, options=options, work=describing.work / "again")
    stop = next(line for line in run.out.splitlines() if line.startswith("stopped: "))
    assert run.status == 4
    assert f"most as {state} (--max-failures); the most frequent reason: " in stop
    assert reason in stop

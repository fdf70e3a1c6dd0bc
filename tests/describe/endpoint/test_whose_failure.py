"""A picture's failure is not the endpoint's, and the reverse; what was paid for is kept when a run must end."""

from dataclasses import replace

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

BILLING = "You have used up what you paid for."


def first_picture(asked: Asked, pictures: set[str], number: int) -> bool:
    """Whether this is the picture of the request with that number."""
    if asked.number == number:
        pictures.add(asked.picture)
    return asked.picture in pictures


@pytest.mark.parametrize("number", [1, 5, 30])
@pytest.mark.parametrize(
    "answer", [failure(403, "we flagged this one"), failure(400, "caught by our content filter", code="content_filter")]
)
def test_one_picture_that_is_not_wanted_is_refused_and_the_others_are_described(describing, answer, number) -> None:
    pictures: set[str] = set()
    stub = describing.serve(lambda asked: answer if first_picture(asked, pictures, number) else completion(asked.text))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (3, {"ok": 39, "refused": 1})
    assert str(answer.body["error"]["message"]) in run.words
    assert "another --prompt or another endpoint" in run.words
    assert len(stub.asked) <= 41, "the first is asked about with a good picture, too"
    assert sum(row.tokens_in for row in run.rows) == 200 * (len(stub.asked) - 1)


@pytest.mark.parametrize(
    "answer",
    [
        failure(402, BILLING),
        failure(401, BILLING),
        failure(429, BILLING, code="insufficient_quota"),
        failure(400, "Your credit balance is too low to go on. " + BILLING),
        Answer({"error": {"message": BILLING, "code": 402}}),
        failure(429, BILLING, {"Retry-After": "90000"}),
        failure(404, BILLING),
        failure(400, "Budget has been exceeded. " + BILLING),
        failure(429, BILLING, code="exceeded_current_quota_error"),
        failure(429, BILLING, details=[{"quotaId": "RequestsPerDayPerProject"}, {"retryDelay": "0.2s"}]),
        failure(429, "Your daily limit is reached. " + BILLING),
    ],
)
def test_an_end_in_the_middle_keeps_every_answer_that_was_paid_for(describing, answer: Answer) -> None:
    answered: set[str] = set()

    def respond(asked: Asked) -> Answer:
        if asked.number > 20:
            return answer
        answered.add(asked.text)
        return replace(completion(asked.text), seconds=0.4 if asked.number % 3 else 0.0)

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--in-flight", "8"])
    assert run.status == 4
    assert {row.text for row in run.rows} == answered, "those that were slow to answer, too"
    assert run.states == {"ok": 20}
    stop = next(line for line in run.out.splitlines() if line.startswith("stopped: "))
    assert BILLING in stop
    assert len(stub.asked) <= 30


@pytest.mark.parametrize(
    "answer",
    [
        failure(400, "more than the context size of this server", type="exceed_context_size_error"),
        failure(400, "'max_tokens' is too large: 512. This model's maximum context length is 2048 tokens."),
        Answer("<html><h1>Request Entity Too Large</h1></html>", 413, {"Content-Type": "text/html"}),
        failure(500, "image is too large to be read"),
        failure(400, "The prompt (3000) is longer than the maximum length of 2048 here."),
        failure(400, "messages.0: image exceeds 5 MB maximum"),
        failure(400, "The image file size (7.5 MB) exceeds what we take."),
        failure(400, "the picture is too big"),
        completion("A grey thi", "model_length"),
    ],
)
def test_pictures_that_are_too_large_are_sent_once_more_in_half_the_size(describing, answer: Answer) -> None:
    stub = describing.serve(lambda asked: answer if asked.picture_bytes > 12_000 else completion(asked.text))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert "10 images were too large for the endpoint and were sent at half the size" in run.out
    assert len(stub.asked) == 50
    assert all("max_completion_tokens" not in asked.body for asked in stub.asked)


def test_a_gateways_400_about_too_many_requests_is_tried_again(describing) -> None:
    def respond(asked: Asked) -> Answer:
        return failure(400, "upstream: slow down", code="429") if asked.number % 4 == 0 else completion(asked.text)

    run = describing.run(describing.serve(respond).url)
    assert (run.status, run.states) == (0, {"ok": 40})


def test_pictures_that_stay_too_large_are_told_what_mends_it(describing) -> None:
    stub = describing.serve(
        lambda asked: failure(413, "too much of it") if asked.picture_bytes > 2_500 else completion(asked.text)
    )
    run = describing.run(stub.url)
    assert run.status == 3
    assert run.states["endpoint_error"] >= 10
    assert "status 413: too much of it" in run.out
    assert "a smaller --image-size" in run.words


def test_what_nobody_thought_of_is_one_pictures_failure(describing, monkeypatch) -> None:
    from gpt4image.describe.endpoint import client

    parse, calls = client.parse_reply, iter(range(1000))

    def parse_or_break(*arguments):
        if next(calls) == 10:
            raise KeyError("what nobody thought of")
        return parse(*arguments)

    monkeypatch.setattr(client, "parse_reply", parse_or_break)
    stub = describing.serve(lambda asked: completion(asked.text))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (3, {"ok": 39, "endpoint_error": 1})
    assert "unexpected KeyError: 'what nobody thought of'" in run.out


def test_a_store_that_cannot_be_written_is_one_line(describing, monkeypatch) -> None:
    import sqlite3

    from gpt4image.describe.asking.record import Recorder

    def fail(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Recorder, "record", fail)
    stub = describing.serve(lambda asked: completion(asked.text))
    run = describing.run(stub.url)
    assert run.status == 4
    assert "the disk is full; make room, and the same command goes on from there" in run.err


@pytest.mark.parametrize("words", ["Guardrail intervened", {"error": "Against a guardrail", "output": "No."}])
def test_a_picture_that_a_guardrail_stops_is_refused(describing, words) -> None:
    pictures: set[str] = set()
    answer = failure(400, words)
    stub = describing.serve(lambda asked: answer if first_picture(asked, pictures, 5) else completion(asked.text))
    run = describing.run(stub.url)
    assert (run.status, run.states) == (3, {"ok": 39, "refused": 1})
    assert "guardrail" in run.words.lower()


DEAD = [
    Answer("<html><h1>Bad Gateway</h1></html>", 502, {"Content-Type": "text/html"}),
    failure(500, "the engine is dead"),
    Answer({"error": {"message": "nobody behind me", "code": 504}}),
    failure(503, "no healthy upstream"),
    failure(429, "no more for now"),
    Answer("<html><title>Sign in</title>Your session is over</html>", 200, {"Content-Type": "text/html"}),
]
DEATHS = [
    *((answer, ["--in-flight", "8"]) for answer in DEAD),
    *((DEAD[0], options) for options in (["--in-flight", "1"], ["--retries", "0"])),
]


@pytest.fixture
def in_a_hurry(monkeypatch) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.retries.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("gpt4image.describe.endpoint.pacing.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("gpt4image.describe.endpoint.pacing.LONGEST_PAUSE_S", 0.2)


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(("answer", "options"), DEATHS)
def test_an_endpoint_that_dies_behind_its_gateway_spoils_no_picture(describing, answer: Answer, options) -> None:
    stub = describing.serve(lambda asked: completion(asked.text) if asked.number <= 12 else answer)
    run = describing.run(stub.url, options=["--max-wait", "1", *options])
    assert (run.status, run.states) == (4, {"ok": 12})
    assert "no picture is answered any more: " in run.out
    assert "for longer than --max-wait 1 s" in run.out
    assert len(stub.asked) <= 12 + 60
    better = describing.serve(lambda asked: completion(asked.text))
    again = describing.run(better.url)
    assert (again.status, again.states, len(better.asked)) == (0, {"ok": 40}, 28)


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(("answer", "options"), DEATHS)
def test_an_endpoint_that_comes_back_behind_its_gateway_costs_no_picture(describing, answer: Answer, options) -> None:
    stub = describing.serve(lambda asked: answer if 12 < asked.number <= 36 else completion(asked.text))
    run = describing.run(stub.url, options=options)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(stub.asked) <= 40 + 24 + 2


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(("number", "retries"), [(5, 2), (40, 2), (40, 0), (5, 0), (40, 5)])
def test_a_picture_that_always_fails_is_one_pictures_failure(describing, number: int, retries: int) -> None:
    pictures: set[str] = set()
    answer = failure(500, "this one breaks us")
    stub = describing.serve(lambda asked: answer if first_picture(asked, pictures, number) else completion(asked.text))
    run = describing.run(stub.url, options=["--in-flight", "1", "--retries", str(retries)])
    assert (run.status, run.states) == (3, {"ok": 39, "endpoint_error": 1})
    assert "waits until" not in run.err
    assert len(stub.asked) <= 39 + (1 + retries) + 2, "a good picture is answered, and this one fails again"
    num_answered = sum(asked.picture not in pictures for asked in stub.asked)
    assert sum(row.tokens_in for row in run.rows) == 200 * num_answered, "the good picture is paid for, too"


@pytest.mark.usefixtures("in_a_hurry")
def test_another_endpoint_does_the_work_of_one_that_dies_behind_its_gateway(describing) -> None:
    dying = describing.serve(lambda asked: completion(asked.text) if asked.number <= 5 else DEAD[0])
    alive = describing.serve(lambda asked: replace(completion(asked.text), seconds=0.05))
    run = describing.run(dying.url, alive.url, options=["--in-flight", "8"])
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(dying.asked) <= 5 + 60
    assert len(alive.asked) == 35

"""Every long wait is said, and none is without end."""

import re
import time
from email.utils import formatdate

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

from gpt4image.describe.endpoint.failures import PassingError, Told, classify, read_retry_after_s
from gpt4image.progress import Waits


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after-ms": "700", "retry-after": "9"}, "", 0.7),
        ({}, "Please try again in 900ms.", 0.9),
        ({}, "Please try again in 7m12.5s.", 432.5),
        ({}, "Please try again in 1h2m3s.", 3723.0),
        ({}, "Please retry after 86400 seconds.", 86400.0),
        ({}, "Please try again in 25 minutes.", 1500.0),
        ({}, "Try again in 1 hour and 5 minutes", 3900.0),
        ({}, "wait 2 min, please", 120.0),
        ({}, "Retry in 250 milliseconds", 0.25),
        ({}, "try again in 3 months", None),
        ({}, '{"details": [{"retryDelay": "34s"}]}', 34.0),
        ({"retry-after": "0"}, "", None),
        ({"retry-after": "-3"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({}, "slow down", None),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(headers, body, seconds) -> None:
    assert read_retry_after_s(headers, body) == seconds


def test_a_date_to_wait_for() -> None:
    assert 28 < read_retry_after_s({"retry-after": formatdate(time.time() + 30, usegmt=True)}) <= 31


@pytest.mark.parametrize(
    ("header", "in_body", "seconds"),
    [
        ("42", "", 42),
        ("1m30s", "", 90),
        ("{in_an_hour}", "", 3600),
        ("", '{{"error": {{"metadata": {{"headers": {{"X-RateLimit-Reset": "{in_an_hour}000"}}}}}}}}', 3600),
        ("soon", "", None),
        ("{an_hour_ago}", "", None),
    ],
)
def test_when_a_limit_is_lifted_that_is_reached(header: str, in_body: str, seconds: float | None) -> None:
    times = {"in_an_hour": round(time.time()) + 3600, "an_hour_ago": round(time.time()) - 3600}
    headers, body = {"x-ratelimit-reset": header.format(**times)}, in_body.format(**times)
    told = classify("http://here", Told(429, body, headers))
    assert isinstance(told, PassingError)
    assert told.retry_after_s == (pytest.approx(seconds, abs=5) if seconds else None)
    first = classify("http://here", Told(429, body, {**headers, "retry-after": "7"}))
    assert isinstance(first, PassingError)
    assert first.retry_after_s == 7
    other = classify("http://here", Told(500, body, headers))
    assert isinstance(other, PassingError)
    assert other.retry_after_s is None


def test_what_is_allowed_a_day_comes_back_at_an_hour_that_is_told(describing) -> None:
    reset = f"{time.time() + 5 * 3600:.0f}000"

    def respond(asked: Asked) -> Answer:
        words = "Rate limit exceeded: free-models-per-day"
        return completion(asked.text) if asked.number <= 10 else failure(429, words, {"X-RateLimit-Reset": reset})

    run = describing.run(describing.serve(respond).url)
    assert (run.status, run.states) == (4, {"ok": 10})
    assert re.search(r"free-models-per-day and asks to wait until (?:\d{4}-\d\d-\d\d )?\d\d:\d\d", run.out)


def test_a_day_is_too_long_and_the_hour_is_told(describing) -> None:
    def respond(asked: Asked) -> Answer:
        return completion(asked.text) if asked.number <= 10 else failure(429, "enough", {"Retry-After": "86400"})

    stub = describing.serve(respond)
    start = time.monotonic()
    run = describing.run(stub.url)
    assert (run.status, run.states) == (4, {"ok": 10})
    assert re.search(
        r"stopped: .*enough and asks to wait until \d{4}-\d\d-\d\d \d\d:\d\d, .* --max-wait 600 s", run.out
    )
    assert time.monotonic() - start < 10
    assert len(stub.asked) <= 20


def test_a_wait_of_six_seconds_is_said_with_its_reason_and_its_end(describing) -> None:
    def respond(asked: Asked) -> Answer:
        return failure(429, "not so fast", {"Retry-After": "6"}) if asked.number == 9 else completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--in-flight", "2"])
    assert (run.status, run.states) == (0, {"ok": 40})
    said = [line for line in run.err.splitlines() if "waits until" in line]
    assert len(said) == 1
    assert re.fullmatch(rf"{stub.url}: status 429: not so fast; waits until \d\d:\d\d:\d\d", said[0])
    assert len(stub.asked) == 41


def test_zero_seconds_are_the_usual_pause(describing) -> None:
    times: dict[str, list[float]] = {}

    def respond(asked: Asked) -> Answer:
        times.setdefault(asked.picture, []).append(time.monotonic())
        is_first = len(times[asked.picture]) == 1 and asked.number > 30
        return failure(429, "busy", {"Retry-After": "0"}) if is_first else completion(asked.text)

    run = describing.run(describing.serve(respond).url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert all(second - first > 0.2 for first, second in (pair for pair in times.values() if len(pair) == 2))


@pytest.mark.parametrize("status", [503, 500])
def test_a_model_that_is_loading_is_waited_for_and_spoils_no_picture(describing, monkeypatch, status: int) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.pacing.FIRST_PAUSE_S", 2.8)  # Then 5.6, which is said.
    start = time.monotonic()

    def respond(asked: Asked) -> Answer:
        return failure(status, "Loading the model") if time.monotonic() - start < 6 else completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--retries", "0"])
    assert (run.status, run.states) == (0, {"ok": 40})
    assert f"{stub.url}: status {status}: Loading the model; waits until " in run.words
    assert len(stub.asked) < 40 + 25


def test_a_model_that_never_loads_stops_the_run(describing) -> None:
    stub = describing.serve(lambda asked: failure(503, "Loading the model"))
    run = describing.run(stub.url, options=["--max-wait", "3"])
    assert (run.status, run.rows) == (4, [])
    assert "Loading the model, for longer than --max-wait 3 s" in run.words
    assert len(stub.asked) < 30


def test_a_wait_is_said_once_for_all_who_wait(capsys) -> None:
    now = 0.0
    waits = Waits(lambda: now)
    for _ in range(50):
        waits.note("http://x/v1", "busy", 60)
    waits.note("http://x/v1", "busy", 3)
    assert capsys.readouterr().err.count("http://x/v1: busy; waits until") == 1
    now = 70.0
    waits.note("http://x/v1", "busy", 60)
    assert capsys.readouterr().err.count("waits until") == 1

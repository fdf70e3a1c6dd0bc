"""Servers as they are, from the first request to the last."""

import time
from email.utils import formatdate

from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

CAT = "A grey cat on a sofa."


def test_a_model_that_is_loaded_at_the_first_request_is_waited_for(describing) -> None:
    start = time.monotonic()
    stub = describing.serve(
        lambda asked: Answer(completion(asked.text).body, seconds=max(0.0, 6 - (time.monotonic() - start)))
    )
    run = describing.run(stub.url, options=["--timeout-s", "1.5"])
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(stub.asked) <= 40 + 8 * 5


def test_a_first_answer_that_takes_long_is_said_once(describing) -> None:
    stub = describing.serve(lambda asked: Answer(completion(asked.text).body, seconds=6 if asked.number <= 8 else 0))
    run = describing.run(stub.url, options=["--timeout-s", "20"])
    assert run.status == 0
    assert run.err.count(f"{stub.url}: no answer yet, it may be loading its model; waits until ") == 1


def test_a_server_that_never_answers_in_time_is_told_so(describing) -> None:
    stub = describing.serve(lambda asked: Answer(completion(asked.text).body, seconds=5))
    run = describing.run(stub.url, options=["--timeout-s", "0.2", "--retries", "2"])
    assert (run.status, run.rows) == (2, [])
    assert "no answer within 0.2 s; a larger --timeout-s" in run.err
    assert len(stub.asked) <= 60


def test_thinking_that_takes_the_whole_limit_is_mended_by_a_larger_one_alone(describing) -> None:
    def respond(asked: Asked) -> Answer:
        if "max_tokens" in asked.body:
            return failure(400, "max_tokens is not for this model, take max_completion_tokens", param="max_tokens")
        limit = asked.body["max_completion_tokens"]
        usage = {"prompt_tokens": 300, "completion_tokens": min(limit, 700), "total_tokens": 300 + min(limit, 700)}
        return completion("", "length", usage) if limit < 1000 else completion(asked.text, "stop", usage)

    stub = describing.serve(respond)
    run = describing.run(stub.url)
    assert (run.status, run.states) == (3, {"reasoning_only": 40})
    assert "thinking, but no answer before max_tokens" in run.out
    assert "raise --max-tokens" in run.out
    run = describing.run(stub.url, options=["--max-tokens", "1500"])
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(stub.asked) <= 80 + 2 * 8
    assert sum(row.tokens_out for row in run.rows) == 40 * (512 + 700)


def test_waits_in_headers_dates_and_words_are_kept(describing) -> None:
    seen: dict[str, list[float]] = {}

    def respond(asked: Asked) -> Answer:
        seen.setdefault(asked.picture, []).append(time.monotonic())
        if len(seen[asked.picture]) > 1:
            return completion(asked.text)
        date = {"Retry-After": formatdate(time.time() + 2, usegmt=True)}
        return failure(429, "try again in 900ms", [{"retry-after-ms": "700"}, date, {}][asked.number % 3])

    stub = describing.serve(respond)
    run = describing.run(stub.url)
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(stub.asked) == 80
    assert all(second - first >= 0.7 for first, second in seen.values())


def test_thinking_in_any_tags_never_becomes_a_description(describing) -> None:
    forms = [f"◁think▷A dog?◁/think▷{CAT}", f"[THINK]A dog?[/THINK]{CAT}", f"{CAT}<|im_end|>", f"ASSISTANT: {CAT}"]
    stub = describing.serve(lambda asked: completion(forms[asked.number % 4]))
    run = describing.run(stub.url)
    assert (run.status, {row.text for row in run.rows}) == (0, {CAT})


def test_an_address_of_ipv6(describing) -> None:
    stub = describing.serve(lambda asked: completion(asked.text), host="::1")
    run = describing.run(stub.url)
    assert (run.status, run.states, len(stub.asked)) == (0, {"ok": 40}, 40)


def test_a_key_that_loses_its_rights_in_the_middle_spoils_few_pictures(describing) -> None:
    def respond(asked: Asked) -> Answer:
        return completion(asked.text) if asked.number <= 10 else failure(403, "no longer allowed")

    run = describing.run(describing.serve(respond).url, options=["--in-flight", "2"])
    assert run.status == 4
    assert run.states["ok"] == 10
    assert run.states["refused"] <= 10
    assert "stopped: the endpoint takes no picture at all (status 403: no longer allowed)" in run.out

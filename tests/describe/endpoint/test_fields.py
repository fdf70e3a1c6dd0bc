"""What an endpoint does not know is learned by asking without it, never from words alone."""

import json

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}}


@pytest.fixture
def with_schema(tmp_path) -> list[str]:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    return ["--schema", str(tmp_path / "schema.json"), "--in-flight", "1"]


def test_a_field_named_for_another_reason_is_still_sent(describing) -> None:
    def respond(asked: Asked) -> Answer:
        if asked.number in (11, 12):
            return failure(400, "a picture of this kind cannot have max_tokens and seed")
        return completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--in-flight", "1"])
    assert run.states == {"ok": 39, "endpoint_error": 1}
    assert all(asked.body["max_tokens"] == 512 for asked in stub.asked[12:])
    assert "cannot have max_tokens" in run.out


def test_a_limit_that_is_ignored_under_its_new_name_stops_the_run(describing) -> None:
    def respond(asked: Asked) -> Answer:
        if "max_tokens" in asked.body:
            return failure(400, "no field max_tokens here")
        return completion(asked.text, usage={"prompt_tokens": 200, "completion_tokens": 7000})

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--in-flight", "1"])
    assert run.status == 4
    assert run.states == {"ok": 1}, "what was paid for is kept"
    assert "ignores max_completion_tokens: an answer took 7,000 tokens with --max-tokens 512" in run.out
    assert len(stub.asked) <= 3


def test_a_limit_under_its_new_name_is_kept_and_learned_once(describing) -> None:
    def respond(asked: Asked) -> Answer:
        return failure(400, "no field max_tokens here") if "max_tokens" in asked.body else completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--in-flight", "1"])
    assert (run.status, run.states) == (0, {"ok": 40})
    assert [asked.body.get("max_completion_tokens") for asked in stub.asked[1:]] == [512] * 40


@pytest.mark.parametrize(
    ("takes", "said"),
    [("json_object", "is asked for any JSON object"), (None, "is asked without"), ("json_schema", None)],
)
def test_the_schema_goes_the_best_way_that_is_taken(describing, with_schema, takes, said) -> None:
    def respond(asked: Asked) -> Answer:
        form = asked.body.get("response_format", {}).get("type")
        if form not in (takes, None):
            return failure(400, "this response_format is not available")
        return completion(json.dumps({"colour": asked.picture}))

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=with_schema)
    assert (run.status, run.states) == (0, {"ok": 40})
    last = stub.asked[-1]
    assert last.body.get("response_format", {}).get("type") == takes
    assert (json.dumps(SCHEMA) in last.words) == (takes != "json_schema")
    assert len(stub.asked) == 40 + {"json_schema": 0, "json_object": 1, None: 2}[takes]
    if said:
        assert run.words.count(said) == 1


def test_fields_of_the_users_own_are_never_left_out_in_silence(describing) -> None:
    stub = describing.serve(
        lambda asked: failure(400, "temperature must be 1") if "temperature" in asked.body else completion(asked.text)
    )
    run = describing.run(stub.url, options=["--temperature", "0.2"])
    assert run.status == 2
    assert "temperature must be 1); leave temperature out of --temperature or --extra-body" in run.words
    assert all(asked.body["temperature"] == 0.2 for asked in stub.asked)
    assert len(stub.asked) <= 20


@pytest.mark.parametrize(
    ("extra", "sent"),
    [
        ({"max_tokens": None}, {}),
        ({"max_tokens": None, "max_completion_tokens": 90}, {"max_completion_tokens": 90}),
        ({"max_completion_tokens": 90}, {"max_completion_tokens": 90}),
        ({"max_tokens": 70}, {"max_tokens": 70}),
    ],
)
def test_null_leaves_a_field_out_of_requests_and_of_batch_files(describing, tmp_path, extra, sent) -> None:
    stub = describing.serve(lambda asked: completion(asked.text))
    options = ["--extra-body", json.dumps(extra)]
    describing.run(stub.url, options=options)
    file = tmp_path / "batch.jsonl"
    batch = [*options, "--emit-batch", str(file), "--batch-url", "/chat/completions"]
    describing.run(stub.url, options=batch, work=tmp_path / "other")
    lines = list(map(json.loads, file.read_text().splitlines()))
    assert {line["url"] for line in lines} == {"/chat/completions"}
    for body in [stub.asked[0].body, lines[0]["body"]]:
        assert {name: value for name, value in body.items() if name not in ("model", "messages")} == sent

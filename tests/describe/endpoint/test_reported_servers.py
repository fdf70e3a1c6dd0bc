"""Servers as users have reported them, each by a name: state, requests, exit status, words and bill of a whole run.

Each stands for a kind, of which the other files of this folder try more; those that need a proxy, a certificate, a key
that changes, an address of IPv6, a model that loads or a restart stand there alone.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from tests.describe.endpoint.stubs import USAGE, Answer, Asked, completion, failure

WHOLE = {"ok": 40}
PRICES = ("--usd-per-million-input", "1000", "--usd-per-million-output", "3000")
SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}}
HALF, THOUGHT = "HALF of a text about", "A dog?"
FINISHES = ("error", "abort", "MAX_TOKENS", "SAFETY", "refusal", "load")
JSONS = ("```json\n{}\n```", "Here it is:\n{},", "[{}]", "{} I hope it helps {{smile}}")
TAGS = ("◁think▷A dog?◁/think▷{}", "[THINK]A dog?[/THINK]{}", "<think>A dog?</think>{}", "{}<|im_end|>", "{}</s>")
TOO_LARGE = "10 images were too large for the endpoint and were sent at half the size"
Respond = Callable[[Asked, int, bool], Answer]
"""Gets the request, how many pictures were asked about before this one, and whether this one was, too."""


@dataclass(frozen=True)
class Server:
    """What a server answers, what becomes of a run over forty pictures, and how it is asked.

    Attributes:
        respond: answers.
        status: the exit status.
        states: of all pictures.
        asked: number of requests, the fewest and the most.
        words: on the terminal.
        options: of the command; {} is a folder with a schema.
        path: of the endpoint.
        environment: of the command.
    """

    respond: Respond
    status: int
    states: Mapping[str, int]
    asked: tuple[int, int]
    words: Sequence[str] = ("40 new",)
    options: Sequence[str] = ()
    path: str = "/v1"
    environment: Mapping[str, str] = field(default_factory=dict)


def always(answer: Answer) -> Respond:
    return lambda asked, number, again: answer


def bad_if(condition: Respond, bad: Answer) -> Respond:
    return lambda *given: bad if condition(*given) else completion(given[0].text)


def after_ten(bad: Answer) -> Respond:
    return bad_if(lambda asked, *_: asked.number > 10, bad)


def answers_in_reasoning(asked: Asked, number: int, again: bool) -> Answer:
    is_off = asked.body.get("chat_template_kwargs") == {"enable_thinking": False}
    return completion(None, "stop" if is_off else "length", message={"reasoning_content": asked.text})


def ends_strangely(asked: Asked, number: int, again: bool) -> Answer:
    return completion(asked.text) if again else completion(HALF, FINISHES[number % len(FINISHES)])


def writes_json(asked: Asked, number: int, again: bool) -> Answer:
    if number % 5 == 0:
        return completion('{"colour": "", "wings": false}')
    return completion(JSONS[number % 4].format(json.dumps({"colour": asked.picture})))


def knows_max_tokens_only(asked: Asked, number: int, again: bool) -> Answer:
    if number == 2 and not again:
        return failure(400, "'max_tokens' is too large: the maximum context length is 1024 tokens")
    return completion(asked.text, usage={"prompt_tokens": 200, "completion_tokens": asked.body.get("max_tokens", 8000)})


def is_new_at_openai(asked: Asked, number: int, again: bool) -> Answer:
    if "max_tokens" in asked.body:
        return failure(400, "'max_tokens' is not for this model, take 'max_completion_tokens'", param="max_tokens")
    return completion(asked.text) if "temperature" not in asked.body else failure(400, "'temperature' must be 1")


def thinks_hidden(asked: Asked, number: int, again: bool) -> Answer:
    limit = asked.body.get("max_completion_tokens", 0)
    if not limit:
        return failure(400, "no 'max_tokens' here, take 'max_completion_tokens'", param="max_tokens")
    usage = {"prompt_tokens": 200, "completion_tokens": min(limit, 900), "total_tokens": 200 + min(limit, 900)}
    return completion(asked.text if limit > 900 else "", "stop" if limit > 900 else "length", usage)


def throttles(asked: Asked, number: int, again: bool) -> Answer:
    waits = [{"retry-after-ms": "200"}, {"Retry-After": "0.2"}, {}]
    return completion(asked.text) if again or number > 5 else failure(429, "try again in 200ms", waits[number % 3])


def thinks_in_tags(asked: Asked, number: int, again: bool) -> Answer:
    if number % 8 == 0:
        return completion("◁think▷A dog? Or a c", "length")
    return completion(TAGS[number % len(TAGS)].format(asked.text))


SERVERS = {
    "answer_in_reasoning": Server(
        answers_in_reasoning, 0, WHOLE, (40, 40), options=["--thinking", "off", "--answer-from", "reasoning"],
    ),
    "answer_in_reasoning, thinking": Server(
        answers_in_reasoning, 3, {"reasoning_only": 40}, (40, 40), ["no answer before max_tokens", "--thinking off"],
    ),
    "azure_deployment": Server(
        bad_if(
            lambda asked, *_: "api-version=" not in asked.path or asked.headers.get("api-key") != "k",
            failure(404, "no such resource"),
        ),
        0, WHOLE, (40, 40), options=["--header", "api-key=GATE"], path="/openai/deployments/d?api-version=1",
        environment={"GATE": "k"},
    ),
    "azure_deployment, no version": Server(
        always(failure(404, "no such resource")), 2, {}, (2, 16), ["status 404: no such resource; check --endpoint"],
        path="/openai/deployments/d",
    ),
    "blind_500": Server(
        always(failure(500, "this server sees no images: give it its mmproj")), 2, {}, (8, 16),
        ["status 500: this server sees no images: give it its mmproj", "(llama.cpp: --mmproj)"],
    ),
    "context_exceeded": Server(
        bad_if(lambda asked, *_: asked.picture_bytes > 12_000, failure(400, "it exceeds the context size")),
        0, WHOLE, (50, 50), [TOO_LARGE],
    ),
    "cut_body": Server(
        lambda asked, *_: replace(completion(asked.text), cut_at=60 if asked.number <= 5 else None), 0, WHOLE, (45, 45)
    ),
    "empty_choices": Server(
        bad_if(lambda asked, number, _: number % 4 == 0, Answer({"id": "1", "choices": [], "usage": USAGE})),
        3, {"ok": 30, "refused": 10}, (40, 40), ["no choice in the answer, as endpoints do that block a picture"],
    ),
    "finish_reasons": Server(
        ends_strangely, 3, {"ok": 20, "truncated": 7, "refused": 13}, (60, 60),
        ["truncated, most often: cut at max_tokens", "stopped by the endpoint's content filter"],
    ),
    "gateway_wants_header": Server(
        bad_if(lambda asked, *_: asked.headers.get("x-gate") != "k", failure(401, "missing subscription")),
        0, WHOLE, (40, 40), options=["--header", "X-Gate=GATE"], environment={"GATE": "k"},
    ),
    "gateway_wants_header, without": Server(
        always(Answer({"statusCode": 401, "message": "missing subscription"}, 401)), 2, {}, (1, 8),
        ["status 401: missing subscription; check the API key", "--header for gateways"],
    ),
    "good_retry_after": Server(throttles, 0, WHOLE, (46, 46)),
    "json_answers": Server(
        writes_json, 3, {"ok": 32, "empty": 8}, (40, 40), ["no field of the answer says anything", "fields that fit"],
        ["--schema", "{}/schema.json"],
    ),
    "key_expires_401": Server(
        after_ten(failure(401, "this token is over")), 4, {"ok": 10}, (11, 18),
        ["stopped: ", "status 401: this token is over; check the API key"],
    ),
    "limit_unlearned": Server(
        knows_max_tokens_only, 0, WHOLE, (41, 41), ["1 images were too large", "20,480 written"], ["--in-flight", "1"],
    ),
    "lmstudio_no_v1": Server(
        bad_if(lambda asked, *_: not asked.path.startswith("/v1/"), Answer({"error": "no such endpoint (POST)"})),
        0, WHOLE, (41, 48), ["has no /chat/completions, but http://127.0.0.1:", "/v1 has: give that as --endpoint"],
        path="",
    ),
    "lone_surrogate": Server(
        lambda asked, *_: Answer(json.dumps(completion(f"{asked.text}MARK").body).replace("MARK", "\\ud83d")),
        0, WHOLE, (40, 40),
    ),
    "model_404": Server(
        always(failure(404, "no model m, pull it")), 2, {}, (1, 8), ["status 404: no model m, pull it; check"]
    ),
    "moderated_403": Server(
        bad_if(lambda asked, number, _: number == 3, failure(403, "we flagged this one")),
        3, {"ok": 39, "refused": 1}, (40, 41), ["status 403: we flagged this one", "another --prompt or another endp"],
    ),
    "no_response_format": Server(
        bad_if(lambda asked, *_: "response_format" in asked.body, failure(400, "this response_format is not here")),
        3, {"empty": 40}, (42, 42), ["is asked without; the schema stands in the prompt", "not the JSON asked for"],
        ["--schema", "{}/schema.json", "--in-flight", "1"],
    ),
    "no_usage": Server(
        lambda asked, number, _: completion(asked.text, usage=("none", None, {"total_tokens": 0}, {})[number % 4]),
        0, WHOLE, (40, 40), ["(of 40 descriptions by an estimate: the endpoint does not tell)"],
    ),
    "openai_temperature": Server(is_new_at_openai, 0, WHOLE, (41, 48)),
    "openai_temperature, 0.2": Server(
        is_new_at_openai, 2, {}, (3, 20), ["'temperature' must be 1); leave temperature out of --temperature"],
        ["--temperature", "0.2"],
    ),
    "openrouter_402": Server(
        always(failure(402, "no credits are left")), 2, {}, (1, 8), ["status 402: no credits are left; add credit"]
    ),
    "openrouter_402_in_200": Server(
        always(Answer({"error": {"message": "no credits are left", "code": 402}})), 2, {}, (1, 8),
        ["answers status 402", "no credits are left; add credit"],
    ),
    "plain": Server(
        lambda asked, *_: completion(asked.text, model="another"), 0, WHOLE, (40, 40),
        ["asked for the model m, answered by another, as the endpoint says"],
    ),
    "quota_429": Server(
        after_ten(failure(429, "you have used your quota", code="insufficient_quota")), 4, {"ok": 10}, (11, 18),
        ["stopped: ", "status 429: you have used your quota; add credit"],
    ),
    "retry_after_a_day": Server(
        after_ten(failure(429, "enough of this tier", {"Retry-After": "86400"})), 4, {"ok": 10}, (11, 18),
        ["enough of this tier and asks to wait until 2", "longer than --max-wait 600 s"],
    ),
    "same_text": Server(
        always(completion("A fine picture of mountains.")), 0, WHOLE, (40, 40),
        ["all 40 texts are the same; does the model see images? gpt4image doctor says"],
    ),
    "slow_first": Server(
        lambda asked, *_: replace(completion(asked.text), seconds=5.2 if asked.number <= 8 else 0), 0, WHOLE, (40, 40),
        ["no answer yet, it may be loading its model; waits until"], ["--timeout-s", "20"],
    ),
    "slow_plain": Server(lambda asked, *_: replace(completion(asked.text), seconds=0.15), 0, WHOLE, (40, 40)),
    "thought_ate_all": Server(
        thinks_hidden, 3, {"reasoning_only": 40}, (41, 48), ["no answer before max_tokens", "raise --max-tokens"]
    ),
    "thought_ate_all, 1500": Server(thinks_hidden, 0, WHOLE, (41, 48), options=["--max-tokens", "1500"]),
    "too_large_413": Server(
        bad_if(
            lambda asked, *_: asked.picture_bytes > 12_000,
            Answer("<html><title>413 Too Large</title></html>", 413, {"Content-Type": "text/html"}),
        ),
        0, WHOLE, (50, 50), [TOO_LARGE],
    ),
    "vision_think_tags": Server(
        thinks_in_tags, 3, {"ok": 35, "reasoning_only": 5}, (40, 40), ["thinking, but no answer before max_tokens"]
    ),
    "vllm_no_mm": Server(
        always(failure(400, "at most 0 image(s) are taken")), 2, {}, (2, 16),
        ["takes no picture at all (status 400: at most 0 image(s) are taken)", "or use a vision model"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVERS)
def test_states_requests_status_words_and_bill(describing, tmp_path, monkeypatch, name: str) -> None:
    server, pictures, sent = SERVERS[name], dict[str, int](), list[Answer]()
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)

    def respond(asked: Asked) -> Answer:
        again = asked.picture in pictures
        sent.append(server.respond(asked, pictures.setdefault(asked.picture, len(pictures)), again))
        return sent[-1]

    stub = describing.serve(respond)
    options = [option.format(tmp_path) for option in server.options]
    run = describing.run(f"{stub.root}{server.path}", options=[*PRICES, *options])
    assert (run.status, run.states) == (server.status, server.states)
    assert server.asked[0] <= len(stub.asked) <= server.asked[1]
    for words in server.words:
        assert words in run.words
    assert not [row for row in run.rows if row.state == "ok" and (HALF in row.text or THOUGHT in row.text)]
    if run.rows and "by an estimate" not in run.out:
        check_bill(run.out, [answer.body for answer in sent if answer.status == 200 and answer.cut_at is None])


def check_bill(out: str, bodies: Sequence) -> None:
    """Tokens and dollars as they are told are within a fifth of what the answers say."""
    usages = [(json.loads(body) if isinstance(body, str) else body).get("usage", {}) for body in bodies]
    bill = [sum(usage.get(name, 0) for usage in usages) for name in ("prompt_tokens", "completion_tokens")]
    told = re.search(r"tokens: ([\d,]+) read, ([\d,]+) written, \$([\d.]+)", out)
    assert told is not None
    numbers = [float(number.replace(",", "")) for number in told.groups()]
    assert numbers == pytest.approx([*bill, (1000 * bill[0] + 3000 * bill[1]) / 1e6], rel=0.2)

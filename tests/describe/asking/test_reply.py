import json

import pytest

from gpt4image.describe.asking.markup import split_reasoning
from gpt4image.describe.asking.refusals import flatten_json, judge_text
from gpt4image.describe.asking.reply import UnusableReplyError, parse_reply
from gpt4image.describe.store.states import FAILED, REPAIRS, State


def body(message: dict, finish: str = "stop") -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], "usage": usage}).encode()


@pytest.mark.parametrize(
    ("message", "finish", "state", "text", "reasoning"),
    [
        ({"content": " A red hat. "}, "stop", State.OK, "A red hat.", ""),
        ({"content": [{"type": "text", "text": "A red hat."}]}, "stop", State.OK, "A red hat.", ""),
        ({"content": "A red h"}, "length", State.TRUNCATED, "A red h", ""),
        ({"content": ""}, "stop", State.EMPTY, "", ""),
        ({"content": None}, "stop", State.EMPTY, "", ""),
        ({"content": "!!!!!!"}, "stop", State.EMPTY, "!!!!!!", ""),
        ({"content": None, "reasoning_content": "Hm."}, "stop", State.REASONING_ONLY, "", "Hm."),
        ({"content": "", "reasoning": "Hm."}, "length", State.REASONING_ONLY, "", "Hm."),
        ({"content": "<think>Hm.</think>A red hat."}, "stop", State.OK, "A red hat.", "Hm."),
        ({"content": "<think>Hm. And then"}, "length", State.REASONING_ONLY, "", "Hm. And then"),
        ({"content": "Hm.</think>\n\nA red hat."}, "stop", State.OK, "A red hat.", "Hm."),
        ({"content": "A red hat.", "reasoning_content": "Hm."}, "stop", State.OK, "A red hat.", "Hm."),
        ({"content": "I'm sorry, but I can't help with that."}, "stop", State.REFUSED, None, ""),
        ({"content": None, "refusal": "No."}, "stop", State.REFUSED, "", ""),
        ({"content": "A"}, "content_filter", State.REFUSED, "A", ""),
        (
            {"content": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>A hat."},
            "stop",
            State.OK,
            "A hat.",
            "Hm.",
        ),
    ],
)
def test_every_answer_has_its_state(message, finish, state, text, reasoning) -> None:
    reply = parse_reply(body(message, finish))
    assert reply.state is state
    assert text is None or reply.text == text
    assert reply.reasoning == reasoning
    assert (reply.tokens_in, reply.tokens_out) == (7, 3)
    assert bool(reply.error) == (state is not State.OK)


@pytest.mark.parametrize(
    "sent", [b"", b"<html>", b'{"error": "busy"}', b'{"choices": []}', body({"content": "A"})[:40]]
)
def test_what_is_no_completion_is_asked_for_again(sent: bytes) -> None:
    with pytest.raises(UnusableReplyError, match="no chat completion"):
        parse_reply(sent)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "Sorry, I cannot identify people in images.",
        "I am unable to view the image.",
        "I can’t provide a description of this.",
        "As an AI, I cannot describe this picture.",
        "Unfortunately, I'm not able to see the image.",
    ],
)
def test_refusals(text: str) -> None:
    assert judge_text(text) is State.REFUSED


@pytest.mark.parametrize(
    "text",
    [
        "A sorry-looking shoe, I think.",
        "A man who is unable to walk sits in a wheelchair.",
        "I see a red hat on a table.",
        "A can of beans that cannot be opened.",
        "红色的帽子",
    ],
)
def test_descriptions_are_no_refusals(text: str) -> None:
    assert judge_text(text) is State.OK


def test_json_becomes_text_and_other_text_is_no_json() -> None:
    answer = (
        '```json\n{"main_colour": "red", "parts": ["brim", "ribbon"], "worn": true, "logo": null, "old": false}\n```'
    )
    assert flatten_json(answer) == "main colour: red; parts: brim, ribbon; worn: yes."
    assert flatten_json("A red hat.") == ""
    assert parse_reply(body({"content": answer}), as_json=True).text.startswith("main colour: red")


def test_thinking_that_is_closed_twice_or_never() -> None:
    assert split_reasoning("<think>a</think>b<think>c</think>d") == ("bd", "a\nc")
    assert split_reasoning("no thinking") == ("no thinking", "")


def test_every_failed_state_has_a_repair() -> None:
    assert set(FAILED) == set(REPAIRS)

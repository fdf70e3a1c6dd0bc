"""Only what is known to be whole is a description."""

import json

import pytest

from gpt4image.describe.asking.finish import Ending, judge_finish
from gpt4image.describe.asking.missing import Request, next_request
from gpt4image.describe.asking.reply import UnusableReplyError, parse_reply
from gpt4image.describe.store.rows import Description
from gpt4image.describe.store.states import State


@pytest.mark.parametrize(
    "name", [None, "", "stop", "STOP", "FINISH_REASON_STOP", "eos", "COMPLETE", "end_turn", "tool_calls"]
)
def test_whole(name) -> None:
    assert judge_finish(name) is Ending.WHOLE


@pytest.mark.parametrize("name", ["length", "LENGTH", "max_tokens", "MAX_TOKENS"])
def test_cut(name) -> None:
    assert judge_finish(name) is Ending.CUT


@pytest.mark.parametrize(
    "name",
    [
        "content_filter",
        "SAFETY",
        "RECITATION",
        "refusal",
        "sensitive",
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "ERROR_TOXIC",
    ],
)
def test_refused(name) -> None:
    assert judge_finish(name) is Ending.REFUSED


@pytest.mark.parametrize("name", ["error", "abort", "model_length", "network_error", "load", "OTHER", "unloaded", 7])
def test_everything_else_has_failed(name) -> None:
    assert judge_finish(name) is Ending.FAILED


def body(content, finish, **message) -> bytes:
    choice = {"message": {"content": content} | message, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}).encode()


def test_half_a_text_is_asked_for_again_and_its_tokens_are_counted() -> None:
    with pytest.raises(UnusableReplyError, match="ended with 'abort', which is no whole answer") as caught:
        parse_reply(body("A cat on a", "abort"))
    assert caught.value.tokens == (7, 3)


def test_safety_is_refused_though_there_is_text() -> None:
    assert parse_reply(body("A cat on a", "SAFETY")).state is State.REFUSED


@pytest.mark.parametrize("content", ["", None, []])
def test_a_limit_without_text_is_thinking_that_took_it_all(content) -> None:
    reply = parse_reply(body(content, "length"))
    assert (reply.state, reply.error) == (State.REASONING_ONLY, "thinking, but no answer before max_tokens")


@pytest.mark.parametrize(("finish", "is_redone"), [("length", True), ("stop", False)])
def test_raising_max_tokens_redoes_thinking_that_was_cut_and_no_other(finish, is_redone) -> None:
    reply = parse_reply(body("", finish, reasoning_content="Hm."))
    old = Description("d", "p", "m", max_tokens=100, **reply.columns)
    assert next_request(old, Request(100, 64), retry_failed=False) is None
    assert (next_request(old, Request(200, 64), retry_failed=False) is not None) == is_redone

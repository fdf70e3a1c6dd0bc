"""Reads a chat completion: the description, the reasoning apart from it, and what state that is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt4image.describe.asking.refusals import flatten_json, judge_text
from gpt4image.describe.store.states import State
from gpt4image.errors import UnreadableImageError

THINKING = re.compile(r"<(think|thinking|reasoning|thought)>(.*?)(?:</\1>|$)", re.DOTALL | re.IGNORECASE)
LATE_END = re.compile(r"^(.*?)</(?:think|thinking|reasoning|thought)>", re.DOTALL | re.IGNORECASE)
"""The template has opened the thinking block, so only its end is in the reply."""
HARMONY = re.compile(r"<\|channel\|>(\w+)<\|message\|>(.*?)(?=<\|(?:end|start|channel|return)\|>|$)", re.DOTALL)


class UnusableReplyError(Exception):
    """The bytes are no chat completion; asking again may help."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        state: whether `text` is a description, and if not, why.
        text: the answer without its thinking.
        reasoning: the thinking.
        tokens_in: tokens of the request as the endpoint counts them, 0 if it does not say.
        tokens_out: tokens of the answer and the thinking.
        error: more about a state that is not ok.
        attempts: how often the describer was asked.
        seconds: from the first request to the last reply.
    """

    state: State
    text: str = ""
    reasoning: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    error: str = ""
    attempts: int = 1
    seconds: float = 0.0

    @classmethod
    def unreadable(cls, error: UnreadableImageError | str) -> "Reply":
        """About an image that cannot be decoded: nobody was asked."""
        return cls(State.UNREADABLE_IMAGE, error=str(error), attempts=0)


def parse_reply(body: bytes, as_json: bool = False) -> Reply:
    """Reads the body of a chat completion.

    Args:
        body: what the endpoint sent with status 200.
        as_json: the answer was to follow a JSON schema; it is flattened to text.

    Raises:
        UnusableReplyError: the body is cut, no JSON, or an error in disguise.
    """
    choice, usage = _read_choice(body)
    message = choice["message"]
    tokens_in, tokens_out = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
    return judge_answer(
        _content(message),
        reasoning=str(message.get("reasoning_content") or message.get("reasoning") or ""),
        refusal=str(message.get("refusal") or ""),
        finish=choice.get("finish_reason"),
        tokens=(tokens_in, tokens_out),
        as_json=as_json,
    )


def judge_answer(
    content: str,
    reasoning: str = "",
    refusal: str = "",
    finish: str | None = "stop",
    tokens: tuple[int, int] = (0, 0),
    as_json: bool = False,
) -> Reply:
    """Makes a reply of an answer.

    Args:
        content: what the model wrote, thinking in it or not.
        reasoning: thinking the endpoint has sent apart.
        refusal: a refusal the endpoint has sent apart.
        finish: why the model ended: `stop`, `length`, `content_filter`.
        tokens: tokens read and written.
        as_json: the answer was to follow a JSON schema.
    """
    text, leaked = split_reasoning(content)
    reasoning = reasoning or leaked
    state, text, error = _judge(text, reasoning, refusal, finish, as_json)
    return Reply(state, text, reasoning, *tokens, error=error)


def _read_choice(body: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        completion = json.loads(body)
        choice = completion["choices"][0]
        choice["message"].get("content")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        start = " ".join(body[:200].decode("utf-8", "replace").split())
        raise UnusableReplyError(f"the reply is no chat completion: {start!r}") from error
    return choice, completion.get("usage") or {}


def _content(message: Mapping[str, Any]) -> str:
    """The answer's text; some endpoints send it in parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def split_reasoning(content: str) -> tuple[str, str]:
    """Takes thinking that leaked into the answer out of it.

    Returns:
        the answer and the thinking, both stripped.
    """
    if "<|channel|>" in content:
        parts = HARMONY.findall(content)
        answer = "".join(text for channel, text in parts if channel == "final")
        return answer.strip(), "\n".join(text for channel, text in parts if channel != "final").strip()
    thoughts = [match[1].strip() for match in THINKING.findall(content)]
    answer = THINKING.sub("", content)
    if late := LATE_END.match(answer):
        thoughts, answer = [late[1].strip(), *thoughts], answer[late.end() :]
    return answer.strip(), "\n".join(filter(None, thoughts))


def _judge(text: str, reasoning: str, refusal: str, finish: Any, as_json: bool) -> tuple[State, str, str]:
    if refusal or finish == "content_filter":
        return State.REFUSED, text, refusal or "stopped by the endpoint's content filter"
    judged = judge_text(text)
    if judged is State.EMPTY:
        if reasoning:
            return State.REASONING_ONLY, text, "thinking, but no answer" + (" before max_tokens" * (finish == "length"))
        return State.EMPTY, text, "no word in the answer"
    if finish == "length":
        return State.TRUNCATED, text, "cut at max_tokens"
    if judged is State.OK and as_json:
        flat = flatten_json(text)
        return (State.OK, flat, "") if flat else (State.EMPTY, text, "the answer is not the JSON asked for")
    return judged, text, "" if judged is State.OK else "the answer declines to describe"

"""Reads a chat completion: the description, the reasoning apart from it, and what state that is."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gpt4image.describe.asking.finish import CUT_WORDS, Ending, judge_finish
from gpt4image.describe.asking.json_answers import load_body, read_json
from gpt4image.describe.asking.markup import split_reasoning
from gpt4image.describe.asking.refusals import DECLINED, NO_JSON, flatten_json, judge_text
from gpt4image.describe.asking.usage import read_usage
from gpt4image.describe.store.states import State
from gpt4image.errors import UnreadableImageError
from gpt4image.shown import start_of

MOST_CHARACTERS = 100_000
"""No description is longer; a model that babbles without end is."""
MOST_NAME_CHARACTERS = 200
THINKING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Where it stands in a message."""
STATUSES, WORDS = ("code", "status", "status_code", "statusCode"), ("message", "msg", "error_msg", "detail")
"""Where they stand in an error."""
NOT_OF_THE_STORE = ("guessed", "model", "is_shrunk")
AnswerFrom = Literal["content", "reasoning"]


@dataclass(eq=False)
class UnusableReplyError(Exception):
    """The bytes are no chat completion; asking again may help.

    Attributes:
        message: the reason.
        status: the status that an error in the body names, None if it names none.
        tokens: read and written all the same.
        is_blocked: the endpoint has answered, and has nothing to say: asking again costs the same again.
        needs_smaller: the context was full; a smaller image may do.
    """

    message: str
    status: int | None = None
    tokens: tuple[int, int] = (0, 0)
    is_blocked: bool = False
    needs_smaller: bool = False

    def __str__(self) -> str:
        return self.message

    def as_reply(self) -> "Reply":
        """What is stored if nobody is asked again."""
        return Reply(State.REFUSED if self.is_blocked else State.ENDPOINT_ERROR, "", "", *self.tokens, error=str(self))


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
        guessed: tokens read and written, as estimated, where the endpoint does not say.
        model: the model that the endpoint says has answered.
        is_shrunk: the image was sent smaller than asked for.
    """

    state: State
    text: str = ""
    reasoning: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    error: str = ""
    attempts: int = 1
    seconds: float = 0.0
    guessed: tuple[int, int] = (0, 0)
    model: str = ""
    is_shrunk: bool = False

    @classmethod
    def unreadable(cls, error: UnreadableImageError | str) -> "Reply":
        """About an image that cannot be decoded: nobody was asked."""
        return cls(State.UNREADABLE_IMAGE, error=str(error), attempts=0)

    @property
    def columns(self) -> dict[str, Any]:
        """What the store keeps of it."""
        return {name: value for name, value in asdict(self).items() if name not in NOT_OF_THE_STORE}


def parse_reply(
    body: bytes, as_json: bool = False, answer_from: AnswerFrom = "content", limit: int | None = None
) -> Reply:
    """Reads the body of a chat completion.

    Args:
        body: what the endpoint sent with status 200.
        as_json: the answer was to follow a JSON schema; it is flattened to text.
        answer_from: where the answer stands if the content is empty.
        limit: tokens that could be written.

    Raises:
        UnusableReplyError: the body is cut, no JSON, or an error in disguise.
    """
    completion = _read_completion(body)
    tokens = read_usage(completion.get("usage"))
    choice = _read_choice(completion, body, tokens)
    message, finish = choice["message"], choice.get("finish_reason")
    content, thinking, refusal = _read_content(message.get("content"))
    told = next(filter(_is_error, (choice.get("error"), completion.get("error"))), None)
    if told or judge_finish(finish) is Ending.FAILED:
        reason = f"the answer ended with {finish!r}, which is no whole answer{_told(told)}"
        is_full = str(finish).lower() == "model_length"
        raise UnusableReplyError(reason, _status_in(told), tokens, needs_smaller=is_full)
    if judge_finish(finish) is Ending.WHOLE:
        finish = _find_cut(choice, content, tokens[1], limit) or finish
    return judge_answer(
        content,
        reasoning=thinking or next(filter(None, (_text(message.get(name)) for name in THINKING)), ""),
        refusal=refusal or _text(message.get("refusal")),
        finish=finish,
        tokens=tokens,
        as_json=as_json,
        answer_from=answer_from,
        model=start_of(_text(completion.get("model")), MOST_NAME_CHARACTERS),
    )


def judge_answer(
    content: str,
    reasoning: str = "",
    refusal: str = "",
    finish: str | None = "stop",
    tokens: tuple[int, int] = (0, 0),
    as_json: bool = False,
    answer_from: AnswerFrom = "content",
    model: str = "",
) -> Reply:
    """Makes a reply of an answer.

    Args:
        content: what the model wrote, thinking in it or not.
        reasoning: thinking the endpoint has sent apart.
        refusal: a refusal the endpoint has sent apart.
        finish: why the model ended: `stop`, `length`, `content_filter`.
        tokens: tokens read and written.
        as_json: the answer was to follow a JSON schema.
        answer_from: where the answer stands if the content is empty.
        model: who has answered.
    """
    text, leaked = split_reasoning(start_of(content, MOST_CHARACTERS))
    reasoning = start_of(reasoning or leaked, MOST_CHARACTERS)
    ending = judge_finish(finish)
    if answer_from == "reasoning" and not text and ending is Ending.WHOLE:
        text, reasoning = split_reasoning(reasoning)[0], ""
    if len(content) > MOST_CHARACTERS:
        state, error = State.TRUNCATED, f"cut at {MOST_CHARACTERS:,} characters: no description is that long"
    else:
        state, text, error = _judge(text, reasoning, refusal, ending, as_json)
    if ending is Ending.FAILED:
        state, error = State.ENDPOINT_ERROR, f"the answer ended with {finish!r}, which is no whole answer"
    return Reply(state, text, reasoning, *tokens, error=error, model=model)


def _read_completion(body: bytes) -> Mapping[str, Any]:
    """The completion as a mapping.

    Raises:
        UnusableReplyError: the body is no JSON object, or an error.
    """
    try:
        completion = load_body(body)
    except (ValueError, RecursionError) as error:
        raise _no_completion(body) from error
    if isinstance(completion, list) and len(completion) == 1:
        completion = completion[0]
    if not isinstance(completion, dict):
        raise _no_completion(body)
    if not completion.get("choices") and _is_error(told := _find_error(completion)):
        raise UnusableReplyError(f"the reply is no chat completion but an error{_told(told)}", _status_in(told))
    return completion


def _find_error(completion: Mapping[str, Any]) -> Any:
    """The error in a body without choices: its own field, the first of several, or the body itself."""
    errors = completion.get("errors")
    first = errors[0] if errors and isinstance(errors, list) else errors
    return completion.get("error") or first or ({} if "choices" in completion else completion)


def _read_choice(completion: Mapping[str, Any], body: bytes, tokens: tuple[int, int]) -> Mapping[str, Any]:
    """The first choice, whose `message` is a mapping.

    Raises:
        UnusableReplyError: there is none.
    """
    choices = completion.get("choices")
    if isinstance(choices, list) and not choices:
        words = "no choice in the answer, as endpoints do that block a picture (the reply is no chat completion)"
        raise UnusableReplyError(words, tokens=tokens, is_blocked=True)
    choice = choices[0] if isinstance(choices, list) else None
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise _no_completion(body, tokens)
    return choice


def _no_completion(body: bytes, tokens: tuple[int, int] = (0, 0)) -> UnusableReplyError:
    start = start_of(" ".join(body[:10_000].decode("utf-8", "replace").split()), 200)
    return UnusableReplyError(f"the reply is no chat completion: {start!r}", tokens=tokens)


def _status_in(error: Any) -> int | None:
    """The status of HTTP that an error names in its body."""
    codes = (str(error.get(name)) for name in STATUSES) if isinstance(error, dict) else ()
    return next((int(code) for code in codes if re.fullmatch("[345][0-9][0-9]", code)), None)


def _is_error(error: Any) -> bool:
    """Whether it says anything; some send an empty one with every answer."""
    return bool(_told(error)) or _status_in(error) is not None


def _told(error: Any) -> str:
    words = next((error[name] for name in WORDS if error.get(name)), "") if isinstance(error, dict) else error
    return f": {start_of(' '.join(str(words).split()), 300)}" if words else ""


def _find_cut(choice: Mapping[str, Any], content: str, written: int, limit: int | None) -> str | None:
    """Why an answer that the endpoint calls whole is not, as far as can be seen; None if it is.

    What a gateway was told may say so, or the last token that was allowed, without an end of a sentence there.
    """
    native = choice.get("native_finish_reason")
    if judge_finish(native) in (Ending.CUT, Ending.REFUSED):
        return str(native)
    has_end = bool(content.strip()) and not (content.rstrip()[-1].isalnum() or content.rstrip()[-1] in ",;:-")
    return "length" if limit and written == limit and not has_end else None


def _read_content(content: Any) -> tuple[str, str, str]:
    """The answer's text, its thinking and its refusal; some endpoints send them in parts."""
    parts = content if isinstance(content, list) else [content]
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    for part in parts:
        fields = part if isinstance(part, dict) else {}
        kind = str(fields.get("type", ""))
        is_thinking = "think" in kind or "reason" in kind
        (thoughts if is_thinking else texts).append(_text(part))
        refusals.append(_text(fields.get("refusal")))
    return "".join(texts), "".join(thoughts), "".join(refusals)


def _text(value: Any) -> str:
    """The text in a value that may be a text, a part with a text, a list of such, or nothing."""
    if isinstance(value, list):
        return "".join(map(_text, value))
    if isinstance(value, dict):
        return next(
            (_text(value[name]) for name in ("text", "thinking", "content", "reasoning", "summary") if value.get(name)),
            "",
        )
    return "" if value is None else str(value)


def _judge(text: str, reasoning: str, refusal: str, ending: Ending, as_json: bool) -> tuple[State, str, str]:
    if refusal or ending is Ending.REFUSED:
        return State.REFUSED, text, refusal or "stopped by the endpoint's content filter"
    judged = judge_text(text)
    if judged is State.EMPTY:
        is_cut = ending is Ending.CUT
        if reasoning or (is_cut and not text):
            return State.REASONING_ONLY, text, "thinking, but no answer" + f" {CUT_WORDS}" * is_cut
        return State.EMPTY, text, "no word in the answer"
    if ending is Ending.CUT:
        return State.TRUNCATED, text, "cut at max_tokens"
    if judged is State.OK and as_json:
        if flat := flatten_json(text):
            return State.OK, flat, ""
        is_json = read_json(text) is not None
        return State.EMPTY, text, "no field of the answer says anything" if is_json else NO_JSON
    return judged, text, "" if judged is State.OK else DECLINED

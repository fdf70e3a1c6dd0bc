"""One OpenAI-compatible endpoint: sends one request once, and says what kind of failure a failure is."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import openai
from openai import AsyncOpenAI

from gpt4image.describe.asks import Request, Thinking
from gpt4image.describe.prompts import Prompt
from gpt4image.errors import EndpointError

FATAL_STATUSES = frozenset({401, 403, 404})
REFUSING_STATUSES = frozenset({400, 405, 411, 413, 414, 415, 422})
MOST_ERROR_CHARACTERS = 300


class PassingError(Exception):
    """The request failed for a reason that may be gone next time.

    Attributes:
        retry_after_s: how long the endpoint asks to wait, None if it does not say.
        is_throttle: the endpoint said 429: too many requests.
        is_connection: no connection came about.
    """

    def __init__(
        self,
        message: str,
        retry_after_s: float | None = None,
        is_throttle: bool = False,
        is_connection: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after_s, self.is_throttle, self.is_connection = retry_after_s, is_throttle, is_connection


class RefusedRequestError(Exception):
    """The endpoint will never take this request; another image may do."""


@dataclass
class Endpoint:
    """One endpoint and what was learned about it.

    Attributes:
        url: base URL, such as `http://localhost:8000/v1`.
        model: the model's name there.
        client: the SDK's client for that URL.
        extra: fields of the user's own for every request.
        refused_fields: optional fields the endpoint does not know; they are no longer sent.
        has_answered: whether any request succeeded in this run.
    """

    url: str
    model: str
    client: AsyncOpenAI
    extra: Mapping[str, Any] = field(default_factory=dict)
    refused_fields: set[str] = field(default_factory=set)
    has_answered: bool = False

    async def ask(self, words: str, data_url: str, prompt: Prompt, request: Request, seed: int | None) -> bytes:
        """Sends one request and returns the body of the answer.

        Raises:
            PassingError: worth another attempt.
            RefusedRequestError: this request will never do.
            EndpointError: no request will do.
        """
        optional = self._optional_fields(prompt, request, seed)
        content = [
            {"type": "image_url", "image_url": {"url": data_url}},
            {"type": "text", "text": words},
        ]
        messages: Any = [{"role": "user", "content": content}]
        create = self.client.chat.completions.with_raw_response.create
        try:
            answer = await create(model=self.model, messages=messages, extra_body=optional)
        except openai.APIStatusError as error:
            if self._learn_refused_field(error, optional):
                return await self.ask(words, data_url, prompt, request, seed)
            raise self._classify(error) from error
        except openai.APITimeoutError as error:
            raise PassingError(f"no answer within {self.client.timeout} s") from error
        except openai.APIConnectionError as error:
            raise PassingError(_root_cause(error), is_connection=True) from error
        self.has_answered = True
        return answer.content

    def _optional_fields(self, prompt: Prompt, request: Request, seed: int | None) -> dict[str, Any]:
        limit = "max_completion_tokens" if "max_tokens" in self.refused_fields else "max_tokens"
        fields: dict[str, Any] = {limit: request.max_tokens}
        if seed is not None:
            fields["seed"] = seed
        if request.thinking is not Thinking.AUTO:
            fields["chat_template_kwargs"] = {"enable_thinking": request.thinking is Thinking.ON}
        if request.thinking is Thinking.OFF:
            fields["reasoning_effort"] = "none"
        if prompt.schema is not None:
            schema = {"name": "description", "schema": prompt.schema, "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        fields |= self.extra
        return {name: value for name, value in fields.items() if name not in self.refused_fields}

    def _learn_refused_field(self, error: openai.APIStatusError, sent: Mapping[str, Any]) -> bool:
        """Whether the endpoint named an optional field as its reason; that field is not sent again."""
        if error.status_code not in (400, 422):
            return False
        text = error.response.text
        named = {name for name in sent if name in text and name not in self.extra and name != "max_completion_tokens"}
        self.refused_fields |= named
        return bool(named)

    def _classify(self, error: openai.APIStatusError) -> Exception:
        status, text = error.status_code, _short(error.response.text)
        message = f"status {status}: {text}"
        if status in FATAL_STATUSES or "insufficient_quota" in text:
            return EndpointError(f"{self.url} answers {message}; check --endpoint, --model and the API key")
        if status in REFUSING_STATUSES:
            return RefusedRequestError(message)
        retry_after_s = _retry_after_s(error.response.headers)
        return PassingError(message, retry_after_s, is_throttle=status == 429)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: OpenAI's `retry-after-ms`, else `Retry-After` (RFC 9110: a number or a date)."""
    if (milliseconds := _to_seconds(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    return _to_seconds(headers.get("retry-after", ""))


def _to_seconds(value: str) -> float | None:
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {_short(str(error))}"


def _short(text: str) -> str:
    return " ".join(text.split())[:MOST_ERROR_CHARACTERS]

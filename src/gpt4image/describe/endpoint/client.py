"""One OpenAI-compatible endpoint: sends one request once, and says what kind of failure a failure is."""

import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

from gpt4image.describe.asking.missing import Ask, Thinking
from gpt4image.describe.endpoint.options import NO_KEY, EndpointOptions
from gpt4image.describe.endpoint.privacy import is_nearby
from gpt4image.errors import EndpointError
from gpt4image.shown import note_key_variable

FATAL_STATUSES = frozenset({401, 403, 404})
REFUSING_STATUSES = frozenset({400, 405, 411, 413, 414, 415, 422})
MOST_ERROR_CHARACTERS = 300


@dataclass(eq=False)
class PassingError(Exception):
    """The request failed for a reason that may be gone next time.

    Attributes:
        message: the reason.
        retry_after_s: how long the endpoint asks to wait, None if it does not say.
        is_throttle: the endpoint said 429: too many requests.
        is_connection: no connection came about.
    """

    message: str
    retry_after_s: float | None = None
    is_throttle: bool = False
    is_connection: bool = False

    def __str__(self) -> str:
        return self.message


class RefusedRequestError(Exception):
    """The endpoint will never take this request; another image may do."""


def make_messages(words: str, data_url: str) -> Any:
    """The messages of a chat request about one image."""
    image = {"type": "image_url", "image_url": {"url": data_url}}
    return [{"role": "user", "content": [image, {"type": "text", "text": words}]}]


def optional_fields(ask: Ask, extra: Mapping[str, Any], refused: Collection[str] = frozenset()) -> dict[str, Any]:
    """The fields of a chat request beside model and messages.

    Args:
        ask: what to ask.
        extra: fields of the user's own.
        refused: fields the endpoint does not know; `max_completion_tokens` takes the place of `max_tokens`.
    """
    limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
    fields: dict[str, Any] = {limit: ask.request.max_tokens}
    if ask.seed is not None:
        fields["seed"] = ask.seed
    if template := ask.request.thinking.template_fields:
        fields["chat_template_kwargs"] = template
    if ask.request.thinking is Thinking.OFF:
        fields["reasoning_effort"] = "none"
    if ask.prompt.schema is not None:
        named = {"name": "description", "schema": ask.prompt.schema, "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": named}
    return {name: value for name, value in (fields | dict(extra)).items() if name not in refused}


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

    async def ask(self, ask: Ask, data_url: str) -> bytes:
        """Sends one request about one image and returns the body of the answer.

        Raises:
            PassingError: worth another attempt.
            RefusedRequestError: this request will never do.
            EndpointError: no request will do.
        """
        optional = optional_fields(ask, self.extra, self.refused_fields)
        messages = make_messages(ask.words, data_url)
        create = self.client.chat.completions.with_raw_response.create
        try:
            answer = await create(model=self.model, messages=messages, extra_body=optional)
        except openai.APIStatusError as error:
            if self._learn_refused_field(error, optional):
                return await self.ask(ask, data_url)
            raise self._classify(error) from error
        except openai.APIConnectionError as error:
            raise self._classify_silence(error) from error
        self.has_answered = True
        return answer.content

    def _learn_refused_field(self, error: openai.APIStatusError, sent: Mapping[str, Any]) -> bool:
        """Whether the endpoint named an optional field as its reason; that field is not sent again."""
        if error.status_code not in (400, 422):
            return False
        text = error.response.text
        named = {name for name in sent if name in text and name not in self.extra and name != "max_completion_tokens"}
        if "response_format" in sent and "schema" in text:
            named.add("response_format")
        self.refused_fields |= named
        return bool(named)

    def _classify(self, error: openai.APIStatusError) -> Exception:
        status, text = error.status_code, _short(error.response.text)
        message = f"status {status}: {text}"
        if status in FATAL_STATUSES or "insufficient_quota" in text:
            return EndpointError(f"{self.url} answers {message}; check --endpoint, --model and the API key")
        if status in REFUSING_STATUSES:
            return RefusedRequestError(message)
        return PassingError(message, _retry_after_s(error.response.headers), is_throttle=status == 429)

    def _classify_silence(self, error: openai.APIConnectionError) -> PassingError:
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        reason = _short(str(causes[-1]))
        # The SDK calls a refused connection a timeout; what aiohttp said is among the causes.
        if any(isinstance(cause, aiohttp.ClientConnectorError) for cause in causes):
            return PassingError(f"{self.url} cannot be reached: {reason}", is_connection=True)
        if isinstance(error, openai.APITimeoutError):
            return PassingError(f"no answer within {self.client.timeout} s")
        return PassingError(f"the connection broke: {type(causes[-1]).__name__} {reason}")


def open_endpoint(url: str, options: EndpointOptions) -> Endpoint:
    """A client for one endpoint."""
    # No redirects and no proxies: images go to the endpoint that was named and nowhere else.
    http_client = DefaultAioHttpClient(follow_redirects=False, trust_env=not is_nearby(url))
    key = os.environ.get(options.api_key_env) or NO_KEY
    note_key_variable(options.api_key_env)
    client = AsyncOpenAI(base_url=url, api_key=key, http_client=http_client, max_retries=0, timeout=options.timeout_s)
    return Endpoint(url, options.model, client, options.extra)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: OpenAI's `retry-after-ms`, else `Retry-After` (RFC 9110: a number or a date)."""
    with suppress(KeyError, ValueError):
        return max(float(headers["retry-after-ms"]) / 1000, 0.0)
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(float(value), 0.0)
    with suppress(ValueError):
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    return None


def _short(text: str) -> str:
    return " ".join(text.split())[:MOST_ERROR_CHARACTERS]

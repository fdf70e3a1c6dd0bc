"""One OpenAI-compatible endpoint: sends one request, and learns in which dialect it wants it."""

import asyncio
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import aiohttp
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient, Omit

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply, UnusableReplyError, parse_reply
from gpt4image.describe.asking.usage import estimate_read, estimate_written
from gpt4image.describe.endpoint.failures import TOO_LARGE, PassingError, Told, UnavailableError, classify, shorten
from gpt4image.describe.endpoint.fields import (
    LIMITS,
    Dialect,
    SchemaForm,
    make_messages,
    make_words,
    optional_fields,
    without_named,
)
from gpt4image.describe.endpoint.keys import NO_KEY, Key, read_headers
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.privacy import is_nearby
from gpt4image.errors import EndpointError, SettingsError
from gpt4image.progress import say

LEARNABLE_STATUSES = (400, 422)
WRONG_PLACE_STATUSES = (200, 400, 404, 405, 501)
VERSION = re.compile(r"/v\d")
CHAT = "/chat/completions"
LIMIT_SLACK, LIMIT_SLACK_TOKENS = 1.2, 64
"""Servers count the tokens around an answer differently."""
WAYS = {SchemaForm.JSON_OBJECT: "for any JSON object", SchemaForm.PROMPT_ONLY: "without"}
KEY_PATIENCE_S, KEY_POLL_S = 60.0, 0.5


@dataclass
class Endpoint:
    """One endpoint and what was learned about it.

    Attributes:
        url: base URL, such as `http://localhost:8000/v1`.
        client: the SDK's client for that URL.
        options: how it is asked.
        key: where its key comes from.
        headers: further headers.
        dialect: what it was found to want.
        has_answered: whether any request succeeded in this run.
        useless: why it shall not be asked again, although it has answered.
    """

    url: str
    client: AsyncOpenAI
    options: EndpointOptions
    key: Key = field(default_factory=Key)
    headers: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect = field(default_factory=Dialect)
    has_answered: bool = False
    useless: EndpointError | None = None
    _versioning: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def refused_fields(self) -> frozenset[str]:
        """Request fields that the endpoint does not know."""
        return self.dialect.unknown_fields

    async def ask(self, ask: Ask, data_url: str) -> Reply:
        """Sends one request about one image and reads the answer.

        Raises:
            PassingError: worth another attempt.
            RefusedRequestError: this request will never do.
            EndpointError: no request will do.
        """
        url = self.url
        try:
            reply = await self._ask_in_dialects(ask, data_url)
        except Told as told:
            if not self.has_answered and told.status in WRONG_PLACE_STATUSES and not VERSION.search(urlsplit(url).path):
                return await self._ask_under_v1(url, ask, data_url, told)
            raise classify(self.url, told) from told
        self.has_answered = True
        self._check_limit(ask, reply)
        return _with_guesses(reply, ask, data_url)

    async def _ask_in_dialects(self, ask: Ask, data_url: str) -> Reply:
        """Leaves out what errors name; only what was answered without it counts as unknown.

        Raises:
            Told: what the endpoint said of the first request, if no other did better.
            PassingError: as `ask` does.
        """
        dialect, first = self.dialect, None
        while True:
            try:
                reply = await self._send(ask, data_url, dialect)
            except Told as told:
                first = first or told
                other = self._leave_out_named(ask, dialect, told)
                if other is None:
                    # What is wrong with the second try itself is not what the user has to know.
                    raise (first if LIMITS[1] in told.body else told) from None
                dialect = other
                continue
            self._learn(dialect)
            return reply

    def _leave_out_named(self, ask: Ask, dialect: Dialect, told: Told) -> Dialect | None:
        """Another dialect that may do, None if the error names no field of ours or has another cause."""
        if told.status not in LEARNABLE_STATUSES or TOO_LARGE.search(told.body):
            return None
        sent = optional_fields(ask, self.options.extra, dialect)
        return without_named(dialect, told.body, sent, self.options.extra)

    def _learn(self, dialect: Dialect) -> None:
        known, self.dialect = self.dialect, self.dialect.joined(dialect)
        if left_out := self.dialect.left_out - known.left_out:
            say(f"{self.url} does not know {', '.join(sorted(left_out))}; asked without")
        if self.dialect.schema_form is not known.schema_form:
            way = WAYS[self.dialect.schema_form]
            say(f"{self.url} takes no response_format of that kind and is asked {way}; the schema stands in the prompt")

    async def _send(self, ask: Ask, data_url: str, dialect: Dialect) -> Reply:
        """One request.

        Raises:
            Told: the endpoint said something else than an answer.
            PassingError: it said nothing, or nothing whole.
        """
        key = await asyncio.to_thread(self.key.read) if self.key.file else self.key.read()
        try:
            answer = await self.client.chat.completions.with_raw_response.create(
                model=self.options.model,
                messages=make_messages(make_words(ask, dialect), data_url),
                extra_body=optional_fields(ask, self.options.extra, dialect),
                extra_headers=self._auth(key),
            )
        except openai.APIStatusError as error:
            if error.status_code == 401 and await self._has_new_key(key):
                return await self._send(ask, data_url, dialect)
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            raise Told(error.status_code, error.response.text, headers) from error
        except openai.APIConnectionError as error:
            raise self._classify_silence(error) from error
        return self._read(answer.content, ask)

    def _auth(self, key: str) -> dict[str, Any]:
        if key or not self.headers:
            return {"Authorization": f"Bearer {key or NO_KEY}", **self.headers}
        return {"Authorization": Omit(), **self.headers}

    async def _has_new_key(self, sent: str) -> bool:
        """Whether there is another key than the one sent; waits a little for one that a program writes into a file."""
        polls = int(KEY_PATIENCE_S / KEY_POLL_S) if self.key.file and self.has_answered else 0
        for number in range(polls + 1):
            if self.key.read() != sent:
                return True
            if number == 0 and polls:
                say(
                    f"{self.url} refuses the key; waits up to {KEY_PATIENCE_S:.0f} s for another one in {self.key.file}"
                )
            if number < polls:
                await asyncio.sleep(KEY_POLL_S)
        return False

    def _read(self, body: bytes, ask: Ask) -> Reply:
        try:
            return parse_reply(body, ask.prompt.is_flattened, self.options.answer_from)
        except UnusableReplyError as error:
            if error.is_blocked:
                return error.as_reply()
            if error.needs_smaller:
                raise PassingError(str(error), tokens=error.tokens, needs_smaller=True) from error
            raw = body.decode("utf-8", "replace")
            raise Told(error.status or 200, raw, tokens=error.tokens, reading=str(error)) from error

    def _classify_silence(self, error: openai.APIConnectionError) -> Exception:
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        reason = shorten(str(causes[-1]))
        if any(
            isinstance(cause, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError)
            for cause in causes
        ):
            return EndpointError(
                f"{self.url} has a certificate that nobody here vouches for ({reason}); "
                "name the certificate of its authority with --ca-file, or in SSL_CERT_FILE"
            )
        # The SDK calls a refused connection a timeout; what aiohttp said is among the causes.
        if any(isinstance(cause, aiohttp.ClientConnectorError) for cause in causes):
            return PassingError(f"{self.url} cannot be reached: {reason}", is_connection=True)
        if isinstance(error, openai.APITimeoutError):
            return PassingError(f"no answer within {self.client.timeout} s", is_timeout=True)
        return PassingError(f"the connection broke: {type(causes[-1]).__name__} {reason}")

    async def _ask_under_v1(self, url: str, ask: Ask, data_url: str, told: Told) -> Reply:
        """Asks again under /v1, which is often forgotten; keeps to it if that is answered.

        Raises:
            as `ask` does, in the words of the first answer.
        """
        async with self._versioning:
            if self.url != url or self.has_answered:
                return await self.ask(ask, data_url)
            better = replace(
                self, url=f"{url.rstrip('/')}/v1", client=_open_client(f"{url.rstrip('/')}/v1", self.options)
            )
            try:
                reply = await better._ask_in_dialects(ask, data_url)
            except (Told, PassingError):
                await better.client.close()
                raise classify(self.url, told) from told
            say(f"{url} has no {CHAT}, but {better.url} has: give that as --endpoint")
            await self.client.close()
            self.url, self.client, self.dialect, self.has_answered = better.url, better.client, better.dialect, True
        return _with_guesses(reply, ask, data_url)

    def _check_limit(self, ask: Ask, reply: Reply) -> None:
        """A limit that is sent in another field must still be one."""
        limit = ask.request.max_tokens
        if self.dialect.limit == LIMITS[1] and reply.tokens_out > limit * LIMIT_SLACK + LIMIT_SLACK_TOKENS:
            self.useless = UnavailableError(
                f"{self.url} refuses max_tokens and ignores max_completion_tokens: an answer took {reply.tokens_out:,} "
                f"tokens with --max-tokens {limit}; name its own field for the limit with --extra-body"
            )


def open_endpoint(url: str, options: EndpointOptions, key: Key) -> Endpoint:
    """A client for one endpoint.

    Raises:
        SettingsError: a header, the key or the file of certificates cannot be used.
    """
    url = url.removesuffix("/").removesuffix(CHAT)
    key.read()
    return Endpoint(url, _open_client(url, options), options, key, read_headers(options))


def _open_client(url: str, options: EndpointOptions) -> AsyncOpenAI:
    # No redirects, and no proxies for near hosts: images go to the endpoint that was named and nowhere else.
    http_client = DefaultAioHttpClient(
        follow_redirects=False, trust_env=not is_nearby(url), verify=_make_ssl_context(options.ca_file)
    )
    parts = urlsplit(url)
    base = urlunsplit(parts._replace(path=parts.path.removesuffix(CHAT), query="", fragment=""))
    return AsyncOpenAI(
        base_url=base,
        api_key=NO_KEY,
        http_client=http_client,
        max_retries=0,
        timeout=options.timeout_s,
        default_query=dict(parse_qsl(parts.query, keep_blank_values=True)),
    )


def _make_ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """The usual authorities, and those of --ca-file or, without it, of SSL_CERT_FILE."""
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    named = [("--ca-file", str(ca_file))] if ca_file else [("SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", ""))]
    for source, path in named:
        try:
            if path:
                context.load_verify_locations(path)
        except OSError as error:
            raise SettingsError(
                f"{source} {path} holds no certificates that can be read: {error}; give a PEM file"
            ) from error
    return context


def _with_guesses(reply: Reply, ask: Ask, data_url: str) -> Reply:
    """The reply with an estimate of what the endpoint does not tell."""
    if reply.tokens_in and (reply.tokens_out or not (reply.text or reply.reasoning)):
        return reply
    read = 0 if reply.tokens_in else estimate_read(ask.words, data_url)
    written = 0 if reply.tokens_out else estimate_written(reply.text, reply.reasoning)
    return replace(reply, guessed=(read, written))

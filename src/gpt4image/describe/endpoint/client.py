"""One OpenAI-compatible endpoint: sends one request, and learns in which dialect it wants it."""

import asyncio
import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit, urlunsplit

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.reply import Reply, UnusableReplyError, parse_reply
from gpt4image.describe.asking.usage import estimate_read, estimate_written
from gpt4image.describe.endpoint.connection import Connection
from gpt4image.describe.endpoint.failures import TOO_LARGE, PassingError, Told, classify
from gpt4image.describe.endpoint.fields import (
    LIMITS,
    Dialect,
    SchemaForm,
    make_messages,
    make_words,
    optional_fields,
    without_named,
)
from gpt4image.describe.endpoint.keys import Key
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.errors import EndpointError, UnavailableError
from gpt4image.progress import say

LEARNABLE_STATUSES = (400, 422)
WRONG_PLACE_STATUSES = (200, 400, 404, 405, 501)
VERSION = re.compile(r"/v\d")
CHAT = "/chat/completions"
LIMIT_SLACK, LIMIT_SLACK_TOKENS = 1.2, 64
"""Servers count the tokens around an answer differently."""
WAYS = {SchemaForm.JSON_OBJECT: "for any JSON object", SchemaForm.PROMPT_ONLY: "without"}


@dataclass
class Endpoint:
    """One endpoint and what was learned about it.

    Attributes:
        connection: how it is reached.
        dialect: what it was found to want.
        useless: why it shall not be asked again, although it has answered.
    """

    connection: Connection
    dialect: Dialect = field(default_factory=Dialect)
    useless: EndpointError | None = None
    _versioning: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def url(self) -> str:
        return self.connection.url

    @property
    def options(self) -> EndpointOptions:
        return self.connection.options

    @property
    def has_answered(self) -> bool:
        """Whether any request succeeded in this run."""
        return self.connection.has_answered

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
        self.connection.has_answered = True
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
        body = {
            "model": self.options.model,
            "messages": make_messages(make_words(ask, dialect), data_url),
            **optional_fields(ask, self.options.extra, dialect),
        }
        return self._read(await self.connection.post(CHAT, body), ask)

    def _read(self, body: bytes, ask: Ask) -> Reply:
        try:
            return parse_reply(body, ask.prompt.is_flattened, self.options.answer_from, ask.request.max_tokens)
        except UnusableReplyError as error:
            if error.is_blocked:
                return error.as_reply()
            if error.needs_smaller:
                raise PassingError(str(error), tokens=error.tokens, needs_smaller=True) from error
            raw = body.decode("utf-8", "replace")
            raise Told(error.status or 200, raw, tokens=error.tokens, reading=str(error)) from error

    async def _ask_under_v1(self, url: str, ask: Ask, data_url: str, told: Told) -> Reply:
        """Asks again under /v1, which is often forgotten; keeps to it if that is answered.

        Raises:
            as `ask` does, in the words of the first answer.
        """
        async with self._versioning:
            if self.url != url or self.has_answered:
                return await self.ask(ask, data_url)
            better = replace(self, connection=self.connection.at(_with_path(url, "/v1")))
            try:
                reply = await better._ask_in_dialects(ask, data_url)
            except (Told, PassingError):
                await better.connection.client.close()
                raise classify(self.url, told) from told
            say(f"{url} has no {CHAT}, but {better.url} has: give that as --endpoint")
            await self.connection.client.close()
            self.connection, self.dialect = better.connection, better.dialect
            self.connection.has_answered = True
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
    return Endpoint(Connection.open(_with_path(url, ""), options, key))


def _with_path(url: str, further: str) -> str:
    """The base URL, of a whole one, too, with a further path; a query stays behind it."""
    parts = urlsplit(url.strip())
    return urlunsplit(parts._replace(path=parts.path.rstrip("/").removesuffix(CHAT) + further))


def _with_guesses(reply: Reply, ask: Ask, data_url: str) -> Reply:
    """The reply with an estimate of what the endpoint does not tell."""
    if reply.tokens_in and (reply.tokens_out or not (reply.text or reply.reasoning)):
        return reply
    read = 0 if reply.tokens_in else estimate_read(ask.words, data_url)
    written = 0 if reply.tokens_out else estimate_written(reply.text, reply.reasoning)
    return replace(reply, guessed=(read, written))

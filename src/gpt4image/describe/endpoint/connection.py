"""The connection to one endpoint: its client, key and headers, what it may send, and what its silence means."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import aiohttp
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient, HttpxBinaryResponseContent, Omit

from gpt4image.describe.endpoint.failures import PassingError, Told, shorten
from gpt4image.describe.endpoint.keys import NO_KEY, Key, is_usual_host, read_headers
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.privacy import is_nearby
from gpt4image.errors import EndpointError, SettingsError
from gpt4image.progress import Waits

KEY_PATIENCE_S, KEY_POLL_S = 60.0, 0.5
CONNECT_S = 10.0
"""Longer than any host takes to be reached; waiting for an answer is another matter."""
MOST_BODY_BYTES = 16 * 1024 * 1024
"""Of one answer, unpacked. Sixty-four embeddings of 4,096 numbers take 6 MB as JSON."""
OF_THE_BODY = (b"content-encoding", b"content-length", b"transfer-encoding")
"""Headers of a body that has been unpacked by now."""


class TooLongError(Exception):
    """A body is longer than any answer."""


class BoundedClient(DefaultAioHttpClient):
    """The SDK's client, which reads whole answers only, of at most so many bytes and within so many seconds.

    The SDK itself unpacks whatever comes, and its timeout begins anew with every byte. Headers are limited by aiohttp.

    Args:
        whole_s: seconds for a request from its first byte to the answer's last.
    """

    def __init__(self, whole_s: float, **options: Any) -> None:
        super().__init__(**options)
        self._whole_s = whole_s

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """As the base class does, but the answer has been read, whether `stream` or not.

        Raises:
            openai.APITimeoutError: it took too long.
            openai.APIConnectionError: it is too long, or no HTTP.
        """
        try:
            async with asyncio.timeout(self._whole_s):
                answer = await super().send(request, stream=True, **options)
                try:
                    body = await _read(answer)
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            raise openai.APITimeoutError(request) from error
        except (TooLongError, aiohttp.ClientError) as error:
            raise openai.APIConnectionError(request=request) from error
        headers = [pair for pair in answer.headers.raw if pair[0].lower() not in OF_THE_BODY]
        return type(answer)(answer.status_code, headers=headers, content=body, request=request)


async def _read(answer: Any) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise TooLongError(f"the answer is longer than {MOST_BODY_BYTES:,} bytes")
    return bytes(body)


def _in_utf8(answer: Any) -> bytes:
    """The body in UTF-8, whatever encoding its headers name."""
    with suppress(LookupError, UnicodeDecodeError):
        return answer.content.decode(answer.charset_encoding or "utf-8").encode()
    return answer.content


@dataclass
class Connection:
    """One endpoint as it is reached.

    Attributes:
        url: base URL, such as `http://localhost:8000/v1`.
        options: how it is asked.
        key: where its key comes from.
        headers: further headers.
        client: the SDK's client for that URL.
        has_answered: whether any request succeeded in this run.
        in_flight: requests that were sent and not answered yet.
    """

    url: str
    options: EndpointOptions
    key: Key
    headers: Mapping[str, str]
    client: AsyncOpenAI = field(init=False)
    has_answered: bool = False
    in_flight: int = 0
    _waits: Waits = field(default_factory=Waits)

    def __post_init__(self) -> None:
        self.client = _open_client(self.url, self.options)

    @classmethod
    def open(cls, url: str, options: EndpointOptions, key: Key) -> "Connection":
        """Checks key, headers and certificates first.

        Raises:
            SettingsError: one of them cannot be used.
        """
        key.read()
        return cls(url, options, key, read_headers(options))

    def at(self, url: str) -> "Connection":
        """Another one, to another URL of the same endpoint."""
        return Connection(url, self.options, self.key, self.headers)

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """One request; returns the body of the answer.

        Args:
            path: below the base URL, such as `/chat/completions`.
            body: sent as JSON; the SDK's own methods look through each of its fields first, image and all.

        Raises:
            Told: the endpoint said something else than an answer.
            PassingError: it said nothing, or nothing whole.
            EndpointError: its certificate is not known.
        """
        key = await asyncio.to_thread(self.key.read) if self.key.file else self.key.read()
        self.in_flight += 1
        try:
            answer = await self.client.post(
                path, cast_to=HttpxBinaryResponseContent, body=body, options={"headers": self._auth(key)}
            )
        except openai.APIStatusError as error:
            told = error
        except openai.APIConnectionError as error:
            raise self._classify_silence(error) from error
        else:
            return _in_utf8(answer.response)
        finally:
            self.in_flight -= 1
        if told.status_code == 401 and await self._has_new_key(key):
            return await self.post(path, body)
        headers = {name.lower(): value for name, value in told.response.headers.items()}
        raise Told(told.status_code, told.response.text, headers) from told

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
                self._waits.note(self.url, f"refuses the key; waits for another one in {self.key.file}", KEY_PATIENCE_S)
            if number < polls:
                await asyncio.sleep(KEY_POLL_S)
        return False

    def _classify_silence(self, error: openai.APIConnectionError) -> Exception:
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        reason = shorten(str(causes[-1]))

        def is_any(*kinds: type[BaseException]) -> bool:
            return any(isinstance(cause, kinds) for cause in causes)

        if is_any(aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError):
            return EndpointError(
                f"{self.url} has a certificate that nobody here vouches for ({reason}); "
                "name the certificate of its authority with --ca-file, or in SSL_CERT_FILE"
            )
        # The SDK calls a refused connection a timeout; what aiohttp said is among the causes.
        if is_any(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return PassingError(f"{self.url} cannot be reached: {reason}", is_connection=True)
        if is_any(TooLongError):
            return PassingError(reason)
        # It calls everything a timeout that ends before there is an answer.
        if is_any(TimeoutError):
            return PassingError(f"no answer within {self.options.timeout_s} s", is_timeout=True)
        return PassingError(f"the connection broke: {type(causes[-1]).__name__} {reason}")


def _open_client(url: str, options: EndpointOptions) -> AsyncOpenAI:
    # No redirects, and no proxies for near hosts: what is sent goes to the endpoint that was named and nowhere else.
    http_client = BoundedClient(
        options.timeout_s,
        follow_redirects=False,
        trust_env=not is_nearby(url),
        verify=_make_ssl_context(options.ca_file),
    )
    parts = urlsplit(url)
    timeout = openai.Timeout(options.timeout_s, connect=min(options.timeout_s, CONNECT_S))
    client = AsyncOpenAI(
        base_url=urlunsplit(parts._replace(query="", fragment="")),
        api_key=NO_KEY,
        http_client=http_client,
        max_retries=0,
        timeout=timeout,
        default_query=dict(parse_qsl(parts.query, keep_blank_values=True)),
    )
    if not is_usual_host(url):
        # The SDK takes both from the environment, whoever is asked.
        client.organization = client.project = None
    return client


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

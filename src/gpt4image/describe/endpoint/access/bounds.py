"""How much an endpoint may send, and how long it may take: a body that never ends costs neither memory nor hours."""

import asyncio
from typing import Any

import aiohttp
import openai
from openai import DefaultAioHttpClient

MOST_BODY_BYTES = 16 * 1024 * 1024
"""Of one answer, unpacked. Sixty-four embeddings of 4,096 numbers take 6 MB as JSON."""

OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
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
        headers = [pair for pair in answer.headers.multi_items() if pair[0].lower() not in OF_THE_BODY]
        return type(answer)(answer.status_code, headers=headers, content=body, request=request)


async def _read(answer: Any) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise TooLongError(f"the answer is longer than {MOST_BODY_BYTES:,} bytes")
    return bytes(body)

"""The endpoint describer, asking from this process: encodes each image, sends it, waits for the reply."""

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeVar

from gpt4image.describe.asking.missing import Ask, Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.payload import encode_data_url, encode_half
from gpt4image.describe.endpoint.retries import RetryingClient
from gpt4image.describe.endpoint.tasks import answer_all
from gpt4image.errors import EndpointError, Gpt4ImageError, UnreadableImageError
from gpt4image.images import ImageSet

T = TypeVar("T")
MOST_KEPT = 32
"""Encoded images that are kept for the next prompt and sample."""


class InProcess:
    """Clients, pace and limits, working in this process; needs a running event loop."""

    def __init__(self, client: RetryingClient, images: ImageSet) -> None:
        self._client, self._images = client, images
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count())
        self._data_url = lru_cache(MOST_KEPT)(partial(self._start, encode_data_url))

    @property
    def limit(self) -> int:
        return self._client.pool.limit

    @property
    def awaited(self) -> Mapping[str, int]:
        return self._client.pool.awaited

    async def answer(self, ask: Ask) -> Reply:
        place = ask.index, ask.request.image_size
        with self._client.first_pictures.asking():
            try:
                data_url = await asyncio.shield(self._data_url(*place))
            except UnreadableImageError as error:
                return Reply.unreadable(error)
            return await self._client.answer(ask, data_url, shrink=lambda: self._start(encode_half, *place))

    def end(self, reason: Gpt4ImageError) -> None:
        self._client.end(reason)

    def _start(self, encode: Callable[[ImageSet, int, int], T], index: int, max_side: int) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, encode, self._images, index, max_side)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class EndpointDescriber:
    """Endpoints, asked from this process."""

    options: EndpointOptions

    def answer(self, wanted: Wanted, recorder: Recorder) -> str:
        """As `Describer.answer`.

        Raises:
            EndpointError: an endpoint cannot be reached, or takes no request at all.
        """
        return asyncio.run(self._answer(wanted, recorder))

    async def _answer(self, wanted: Wanted, recorder: Recorder) -> str:
        is_known = recorder.tally.kept + recorder.tally.answered > 0
        async with aclosing(RetryingClient(self.options, is_known)) as client:
            try:
                return await answer_all(InProcess(client, wanted.images), wanted.asks(recorder.store), recorder)
            except EndpointError as error:
                read, written = client.lost.tokens_in, client.lost.tokens_out
                taken = f" ({read:,} tokens were read and {written:,} written)" if read or written else ""
                raise type(error)(f"{error}{taken}") from error
            finally:
                recorder.tally.note_lost(client.lost.tokens_in, client.lost.tokens_out)

"""Encodes images off the event loop, and once for all prompts and samples of an image."""

import asyncio
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from gpt4image.describe.endpoint.payload import encode_image, to_data_url
from gpt4image.images import ImageSet

MOST_KEPT = 32


class ImagesToSend:
    """Data URLs of images, encoded in threads; the latest are kept for the next prompt."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count())
        self._latest: OrderedDict[tuple[int, int], asyncio.Future[str]] = OrderedDict()

    async def data_url(self, index: int, max_side: int) -> str:
        """The image as a data URL.

        Raises:
            UnreadableImageError: it cannot be decoded.
        """
        if (index, max_side) not in self._latest:
            loop = asyncio.get_running_loop()
            self._latest[index, max_side] = loop.run_in_executor(self._threads, self._encode, index, max_side)
            if len(self._latest) > MOST_KEPT:
                self._latest.popitem(last=False)
        return await asyncio.shield(self._latest[index, max_side])

    def _encode(self, index: int, max_side: int) -> str:
        return to_data_url(encode_image(self._images, index, max_side))

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

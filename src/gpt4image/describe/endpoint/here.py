"""Answers asks in this process: encodes the image, sends it, waits for the reply."""

from contextlib import AsyncExitStack

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.record import Answer
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.endpoint.attempts import Asker
from gpt4image.describe.endpoint.client import Question
from gpt4image.describe.endpoint.images_to_send import ImagesToSend
from gpt4image.describe.endpoint.lanes import open_lane
from gpt4image.describe.endpoint.pool import Pool
from gpt4image.describe.endpoint.rate_limit import RateLimits
from gpt4image.describe.settings import DescribeSettings
from gpt4image.describe.store.states import State
from gpt4image.errors import UnreadableImageError
from gpt4image.images import ImageSet


class AnswererHere:
    """Clients, pace and limits of the settings, working in this process; needs a running event loop."""

    def __init__(self, asker: Asker, images: ImageSet, has_samples: bool) -> None:
        self._asker, self._images_to_send, self._has_samples = asker, ImagesToSend(images), has_samples

    @classmethod
    async def open(cls, settings: DescribeSettings, images: ImageSet, stack: AsyncExitStack) -> "AnswererHere":
        """Opens a client for each endpoint; they are closed with `stack`.

        Raises:
            SettingsError: the user's own fields are no JSON object.
        """
        pool = Pool([await open_lane(url, settings, stack) for url in settings.endpoint])
        guess = settings.max_tokens / 2
        limits = RateLimits(settings.requests_per_minute, settings.tokens_per_minute, guess)
        return cls(Asker(pool, limits, settings.retries), images, settings.samples > 1)

    @property
    def limit(self) -> int:
        return self._asker.pool.limit

    @property
    def in_flight(self) -> int:
        return self._asker.pool.in_flight

    async def answer(self, ask: Ask, words: str) -> Answer:
        try:
            data_url = await self._images_to_send.data_url(ask.index, ask.request.image_size)
        except UnreadableImageError as error:
            return Answer(Reply(State.UNREADABLE_IMAGE, error=str(error)), attempts=0, seconds=0.0)
        seed = ask.sample if self._has_samples else None
        return await self._asker.answer(Question(words, data_url, ask.request, seed, ask.prompt.schema))

    def close(self) -> None:
        self._images_to_send.close()

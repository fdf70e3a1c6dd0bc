"""The endpoint describer: builds clients, pace and rules from the settings and runs them."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack

from openai import AsyncOpenAI, DefaultAioHttpClient

from gpt4image.describe.asks import Ask
from gpt4image.describe.attempts import Asker
from gpt4image.describe.endpoint import Endpoint
from gpt4image.describe.images_to_send import ImagesToSend
from gpt4image.describe.pacing import Pace
from gpt4image.describe.places import Places
from gpt4image.describe.pool import Lane, Pool
from gpt4image.describe.privacy import check_endpoints, is_nearby
from gpt4image.describe.rate_limit import RateLimits
from gpt4image.describe.record import Recorder
from gpt4image.describe.run import Run
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet

NO_KEY = "none"
"""Local servers want some key and take any."""


def ask_endpoints(
    settings: DescribeSettings, asks: Iterator[Ask], images: ImageSet, places: Places, recorder: Recorder
) -> str:
    """Asks the endpoints of `settings`; the answers go to `recorder`.

    Returns:
        why the run stopped early, or "".

    Raises:
        SettingsError: an endpoint is no URL.
        EndpointError: an endpoint is not allowed, cannot be reached, or takes no request at all.
    """
    check_endpoints(settings.endpoint, settings.allow_remote)
    return asyncio.run(_ask(settings, asks, images, places, recorder))


async def _ask(
    settings: DescribeSettings, asks: Iterator[Ask], images: ImageSet, places: Places, recorder: Recorder
) -> str:
    async with AsyncExitStack() as stack:
        pool = Pool([await open_lane(url, settings, stack) for url in settings.endpoint])
        guess = settings.max_tokens / 2
        limits = RateLimits(settings.requests_per_minute, settings.tokens_per_minute, guess)
        asker = Asker(pool, limits, settings.retries)
        run = Run(asker, ImagesToSend(images), places, recorder, has_samples=settings.samples > 1)
        return await run.ask_all(asks, settings.deadline_s)


async def open_lane(url: str, settings: DescribeSettings, stack: AsyncExitStack) -> Lane:
    """A client for one endpoint, at its own pace; closed with `stack`."""
    # No redirects and no proxies: images go to the endpoint that was named and nowhere else.
    http_client = DefaultAioHttpClient(follow_redirects=False, trust_env=not is_nearby(url))
    key = os.environ.get(settings.api_key_env) or NO_KEY
    client = AsyncOpenAI(base_url=url, api_key=key, http_client=http_client, max_retries=0, timeout=settings.timeout_s)
    await stack.enter_async_context(client)
    in_flight = settings.in_flight and max(settings.in_flight // len(settings.endpoint), 1)
    assert settings.model is not None
    return Lane(Endpoint(url, settings.model, client, parse_extra_body(settings)), Pace(in_flight))


def parse_extra_body(settings: DescribeSettings) -> dict:
    """The user's own fields of every request.

    Raises:
        SettingsError: they are no JSON object.
    """
    fields = {} if settings.temperature is None else {"temperature": settings.temperature}
    if settings.extra_body is None:
        return fields
    try:
        extra = json.loads(settings.extra_body)
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise SettingsError(f'--extra-body {settings.extra_body!r} must be a JSON object such as {{"top_p": 0.9}}')
    return fields | extra

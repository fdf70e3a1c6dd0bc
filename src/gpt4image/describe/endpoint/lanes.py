"""Clients of endpoints, as the settings want them."""

import json
import os
from contextlib import AsyncExitStack

from openai import AsyncOpenAI, DefaultAioHttpClient

from gpt4image.describe.endpoint.client import Endpoint
from gpt4image.describe.endpoint.pacing import Pace
from gpt4image.describe.endpoint.pool import Lane
from gpt4image.describe.endpoint.privacy import is_nearby
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import SettingsError

NO_KEY = "none"
"""Local servers want some key and take any."""


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

"""The endpoint describer: asks from this process, or from the machines of a Ray cluster."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.endpoint.here import AnswererHere
from gpt4image.describe.endpoint.in_flight import Run
from gpt4image.describe.endpoint.privacy import check_endpoints
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.settings import DescribeSettings
from gpt4image.images import ImageSet


def ask_endpoints(
    settings: DescribeSettings, asks: Iterator[Ask], images: ImageSet, places: Places, recorder: Recorder
) -> str:
    """Asks the endpoints of `settings`; the answers go to `recorder`.

    Returns:
        why the run stopped early, or "".

    Raises:
        SettingsError: an endpoint is no URL, or there is no such cluster.
        EndpointError: an endpoint is not allowed, cannot be reached, or takes no request at all.
    """
    check_endpoints(settings.endpoint, settings.allow_remote)
    if settings.on == "ray":
        from gpt4image.describe.endpoint.on_ray import ask_from_cluster

        return ask_from_cluster(settings, asks, images, places, recorder)
    return asyncio.run(_ask_here(settings, asks, images, places, recorder))


async def _ask_here(
    settings: DescribeSettings, asks: Iterator[Ask], images: ImageSet, places: Places, recorder: Recorder
) -> str:
    async with AsyncExitStack() as stack:
        answerer = await AnswererHere.open(settings, images, stack)
        return await Run(answerer, places, recorder).ask_all(asks, settings.deadline_s)

"""The endpoint describer, asking from this process."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gpt4image.describe.asking.missing import Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.endpoint.in_process import InProcess
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.retries import RetryingClient
from gpt4image.describe.endpoint.tasks import answer_all


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
        async with AsyncExitStack() as stack:
            answerer = InProcess(await RetryingClient.open(self.options, stack), wanted.images)
            return await answer_all(answerer, wanted.asks(recorder.store), recorder)

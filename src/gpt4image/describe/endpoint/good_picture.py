"""Tells a bad picture from an endpoint that takes none, or has died: asks the same about a good picture."""

import asyncio
import time
from contextlib import suppress

from PIL import Image

from gpt4image.describe.asking.advice import advise_setup
from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.endpoint.failures import PassingError, RefusedRequestError
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pacing import LONGEST_PAUSE_S
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url
from gpt4image.describe.endpoint.pool import Lane, LaneLostError, Pool
from gpt4image.describe.endpoint.waits import Waits
from gpt4image.errors import EndpointError, UnavailableError

SIZE = 224


class GoodPicture:
    """Shows endpoints a picture of which nothing can be wrong, one at a time.

    Args:
        pool: whose lanes are closed.
        options: how they are asked.
        waits: says that one is waited for.
    """

    def __init__(self, pool: Pool, options: EndpointOptions, waits: Waits) -> None:
        self._pool, self._options, self._waits, self._asking = pool, options, waits, asyncio.Lock()
        self._data_url = to_data_url(encode_jpeg(Image.new("RGB", (SIZE, SIZE), (200, 60, 40)), SIZE))

    async def check_refused(self, lane: Lane, ask: Ask, error: RefusedRequestError) -> None:
        """A picture was refused: closes the lane if a good one is refused, too.

        That is asked before anything was answered, and later when many are refused one after another.

        Raises:
            LaneLostError: it is closed.
        """
        lane.refused_in_a_row += 1
        async with self._asking:
            if lane.closed is None and (not lane.endpoint.has_answered or lane.refused_in_a_row >= lane.next_probe):
                self._pool.check_end()
                lane.next_probe = 2 * max(lane.refused_in_a_row, lane.next_probe)
                with suppress(PassingError, EndpointError):
                    try:
                        await lane.endpoint.ask(ask, self._data_url)
                    except RefusedRequestError:
                        advice = self._advise_refused(error)
                        reason = EndpointError(f"the endpoint takes no picture at all ({error}); {advice}")
                        self._pool.close_lane(lane, reason)
            _check_open(lane, error)

    async def check_silent(self, lane: Lane, ask: Ask, error: PassingError, since_s: float) -> bool:
        """A picture has failed since `since_s` and used up its retries: if nothing sent since then was answered, waits.

        The others wait meanwhile, too, and the good picture is sent now and then until it is answered.

        Returns:
            whether nothing was answered, so that the picture deserves another attempt.

        Raises:
            LaneLostError: it is closed.
        """
        if lane.answered_s > since_s:
            return False
        async with self._asking:
            if lane.closed is None and lane.answered_s <= since_s:
                await self._wait_until_answered(lane, ask)
            _check_open(lane, error)
        return True

    async def _wait_until_answered(self, lane: Lane, ask: Ask) -> None:
        """Closes the lane if that takes longer than anybody wants to wait, or at once if another one does its work."""
        end_s = time.monotonic() + self._options.max_wait_s
        while lane.closed is None:
            self._pool.check_end()
            sent_s = time.monotonic()
            try:
                await lane.endpoint.ask(ask, self._data_url)
            except EndpointError as reason:
                self._pool.close_lane(lane, reason)
            except RefusedRequestError as told:
                self._pool.close_lane(lane, UnavailableError(_died(lane, told)))
            except PassingError as told:
                pause_s = max(LONGEST_PAUSE_S, told.retry_after_s or 0.0)
                if self._pool.num_open > 1 or time.monotonic() + pause_s > end_s:
                    self._pool.close_lane(lane, UnavailableError(_died(lane, told)))
                else:
                    self._waits.note(lane.endpoint.url, _died(lane, told), pause_s)
                    await self._pool.pause(pause_s)
            else:
                lane.answered_s = max(lane.answered_s, sent_s)
                return

    def _advise_refused(self, error: RefusedRequestError) -> str:
        if own := [name for name in self._options.extra if name in str(error)]:
            return f"leave {' and '.join(own)} out of --temperature or --extra-body; else check --model"
        if error.is_moderated and "status 403" not in str(error):
            return "its filter stops the words or every picture: another --prompt or another endpoint"
        advice = advise_setup(403 if error.is_moderated else 200, str(error))
        return f"{advice}; check --model, and that it is a vision model"


def _check_open(lane: Lane, error: Exception) -> None:
    if lane.closed is not None:
        raise LaneLostError from error


def _died(lane: Lane, told: Exception) -> str:
    return f"{lane.endpoint.url} has answered before, and nothing any more, whatever the picture: {told}"

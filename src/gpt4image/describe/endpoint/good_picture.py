"""Tells bad pictures from an endpoint that takes none, or has died: asks the same about a good picture."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import Image

from gpt4image.describe.asking.advice import advise_setup
from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.endpoint.failures import PassingError, RefusedRequestError
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url
from gpt4image.describe.endpoint.pool import MOST_ALIKE, Lane, LaneLostError, Pool
from gpt4image.errors import EndpointError

SIZE = 224
LOOK_S = 0.1


class GoodPicture:
    """Shows endpoints a picture of which nothing can be wrong, to each one at a time.

    Args:
        pool: whose lanes are closed.
        options: how they are asked.
    """

    def __init__(self, pool: Pool, options: EndpointOptions) -> None:
        self._pool, self._options = pool, options
        self._showing = {lane: asyncio.Lock() for lane in pool.lanes}

    async def check_alive(self, lane: Lane, ask: Ask) -> tuple[int, int]:
        """An endpoint that has answered is in doubt: if it does not answer about the good picture, it is dead.

        Until it answers anything again, no failure there counts as a picture's.

        Returns:
            tokens that took, read and written.

        Raises:
            PassingError: nobody is there.
            EndpointError: no request will do.
            LaneLostError: it has just been found dead, or all has ended.
        """
        async with self._showing[lane]:
            if not lane.is_doubted:
                return 0, 0
            if self._pool.is_ended or lane.closed or lane.pace.pause_left_s:
                raise LaneLostError
            sent_s, tokens = time.monotonic(), (0, 0)
            try:
                tokens = await self._show(lane, ask)
            except RefusedRequestError:
                pass  # Whoever refuses is alive.
            except PassingError as error:
                if error.is_absent:
                    raise
                lane.is_dead = True
                return error.tokens
            lane.note_alive(sent_s)
            return tokens

    async def check_refused(self, lane: Lane, ask: Ask, error: RefusedRequestError) -> tuple[int, int]:
        """A picture was refused: closes the lane if a good one is refused, too.

        That is asked before anything was answered, and later when many are refused one after another.

        Returns:
            tokens that took, read and written.

        Raises:
            LaneLostError: it is closed.
        """
        tokens = 0, 0
        lane.refused_in_a_row += 1
        async with self._showing[lane]:
            if lane.closed is None and (not lane.endpoint.has_answered or lane.refused_in_a_row >= lane.next_probe):
                self._pool.check_end()
                lane.next_probe = 2 * max(lane.refused_in_a_row, lane.next_probe)
                with suppress(PassingError, EndpointError):
                    try:
                        tokens = await self._show(lane, ask)
                    except RefusedRequestError:
                        advice = self._advise_refused(error)
                        reason = EndpointError(f"the endpoint takes no picture at all ({error}); {advice}")
                        self._pool.close_lane(lane, reason)
            if lane.closed is not None:
                raise LaneLostError from error
        return tokens

    async def _show(self, lane: Lane, ask: Ask) -> tuple[int, int]:
        # Of another colour each time: a gateway that keeps answers would answer for a dead server.
        colour = random.randrange(256), random.randrange(256), random.randrange(256)
        data_url = to_data_url(encode_jpeg(Image.new("RGB", (SIZE, SIZE), colour), SIZE))
        reply = await lane.endpoint.ask(ask, data_url)
        return reply.tokens_in, reply.tokens_out

    def _advise_refused(self, error: RefusedRequestError) -> str:
        if own := [name for name in self._options.extra if name in str(error)]:
            return f"leave {' and '.join(own)} out of --temperature or --extra-body; else check --model"
        advice = advise_setup(403 if error.is_moderated else 200, str(error))
        return f"{advice}; check --model, and that it is a vision model"


class FirstPictures:
    """Holds failures back until a picture is answered: endpoints that take the good picture may take none of these.

    Args:
        pool: ends if that is so.
        is_over: whether it is known that these endpoints describe pictures.
    """

    def __init__(self, pool: Pool, is_over: bool) -> None:
        self.is_over = is_over
        self._pool, self._num_asked, self._num_held = pool, 0, 0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A picture is asked about while the block runs."""
        self._num_asked += 1
        try:
            yield
        finally:
            self._num_asked -= 1

    async def hold(self, error: str) -> None:
        """Waits until a picture is answered, or all others have failed, too.

        Raises:
            EndpointError: so many have failed that it is not they, or all has ended.
        """
        self._num_held += 1
        if self._num_held >= MOST_ALIKE and not self.is_over:
            words = f"the endpoint takes a plain picture, but none of the first {self._num_held} of these ({error})"
            self._pool.end(EndpointError(f"{words}; try a smaller --image-size, and look at the server's log"))
        while not self.is_over and self._num_held < self._num_asked:
            await self._pool.pause(LOOK_S)
        self._pool.check_end()
        self.is_over = True

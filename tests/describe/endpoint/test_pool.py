"""Places at endpoints: first come, first served, and nobody sleeps through the end of a pause."""

import asyncio
import time

from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pool import Pool


def num_held(pool: Pool) -> int:
    return sum(lane.pace.in_flight for lane in pool.lanes)


def make_pool(in_flight: int) -> Pool:
    return Pool(EndpointOptions(("http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"), "m", in_flight=in_flight))


def test_whoever_waits_longest_gets_the_next_place_and_no_lane_more_than_its_share() -> None:
    served, most = [], 0

    async def run() -> None:
        nonlocal most
        pool = make_pool(in_flight=4)

        async def ask(number: int) -> None:
            nonlocal most
            async with pool.place() as lane:
                served.append(number)
                assert lane.pace.in_flight <= 2
                most = max(most, num_held(pool))
                await asyncio.sleep(0.001)

        await asyncio.gather(*map(ask, range(40)))
        assert num_held(pool) == 0

    asyncio.run(run())
    assert served == list(range(40))
    assert most == 4


def test_waiting_ends_with_the_first_pause_and_a_cancelled_wait_takes_no_place() -> None:
    async def run() -> float:
        pool = make_pool(in_flight=2)
        for seconds, lane in zip((0.2, 60.0), pool.lanes, strict=True):
            lane.pace.pause(seconds)
        impatient = asyncio.create_task(pool.place().__aenter__())
        await asyncio.sleep(0.01)
        impatient.cancel()
        start = time.monotonic()
        async with asyncio.timeout(5), pool.place() as lane:
            assert lane is pool.lanes[0]
            assert num_held(pool) == 1
        return time.monotonic() - start

    assert 0.1 < asyncio.run(run()) < 2

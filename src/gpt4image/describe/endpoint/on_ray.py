"""Endpoints asked by workers all over a cluster; this process hands out the asks and alone writes the store.

The workers are plain Ray actors: Ray Data would run ahead of whoever reads its results and give them out a block at a
time, so that a stop at a budget or a killed driver would lose answers that are paid for.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from gpt4image.cluster import cluster, count_workers, ended
from gpt4image.describe.asking.missing import Ask, Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.endpoint.describer import InProcess
from gpt4image.describe.endpoint.keys import choose_keys, read_headers
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.pacing import START
from gpt4image.describe.endpoint.retries import RetryingClient
from gpt4image.describe.endpoint.tasks import answer_all
from gpt4image.describe.store.states import State
from gpt4image.errors import Gpt4ImageError
from gpt4image.images import ImageSet

MOST_DEATHS = 4
"""Workers that may die over one image before it is given up."""
REVIVAL_PAUSE_S = 0.5
CALLS_AT_ONCE = 1000
"""Of one worker; the pace of its endpoints keeps the requests below that."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker sends back: the reply, or why no request will do; requests it may and does have in flight."""

    reply: Reply | Gpt4ImageError
    limit: int
    awaited: Mapping[str, int]


class DescribeWorker:
    """One process on the cluster: reads, scales and sends images."""

    def __init__(self, options: EndpointOptions, images: ImageSet) -> None:
        self._options, self._images = options, images

    @cached_property
    def _answerer(self) -> InProcess:
        return InProcess(RetryingClient(self._options), self._images)

    async def answer(self, ask: Ask) -> Report:
        """Asks about one image."""
        answerer = self._answerer
        try:
            reply: Reply | Gpt4ImageError = await answerer.answer(ask)
        except Gpt4ImageError as error:
            reply = error
        return Report(reply, answerer.limit, answerer.awaited)

    async def end(self, reason: Gpt4ImageError) -> None:
        """Sends nothing more."""
        self._answerer.end(reason)


@dataclass(eq=False)
class _Station:
    """A worker as this process sees it: `load` asks are with it, `limit` requests may be in flight."""

    worker: Any
    load: int = 0
    limit: int = START
    awaited: Mapping[str, int] = field(default_factory=dict)
    is_alive: bool = True


class OnRay:
    """Hands asks to the workers; each goes where there is the most room."""

    def __init__(self, workers: Sequence[Any], limit_each: int | None, urls: Sequence[str]) -> None:
        self._urls = urls
        self._stations = [_Station(worker, limit=limit_each or START) for worker in workers]
        self._revived = asyncio.Event()
        self._revivals: set[asyncio.Task[None]] = set()
        self._end: Gpt4ImageError | None = None

    @property
    def limit(self) -> int:
        return sum(station.limit for station in self._stations)

    @property
    def awaited(self) -> Mapping[str, int]:
        """As the workers have told last; at the end all that they have not given back yet."""
        if self._end:
            load = sum(station.load for station in self._stations)
            return {" and ".join(self._urls): load} if load else {}
        return sum((Counter(station.awaited) for station in self._stations), Counter[str]())

    async def answer(self, ask: Ask) -> Reply:
        from ray.exceptions import RayActorError

        start = time.monotonic()
        for _ in range(MOST_DEATHS):
            station = await self._freest()
            station.load += 1
            try:
                report: Report = await station.worker.answer.remote(replace(ask, old=None))
            except RayActorError:
                self._note_death(station)
                continue
            finally:
                station.load -= 1
            station.limit, station.awaited = report.limit, report.awaited
            if isinstance(report.reply, Gpt4ImageError):
                raise report.reply
            return report.reply
        words = f"{MOST_DEATHS} workers died while they had this image"
        return Reply(State.ENDPOINT_ERROR, "", "", 0, 0, words, MOST_DEATHS, time.monotonic() - start)

    def end(self, reason: Gpt4ImageError) -> None:
        self._end = reason
        for station in self._stations:
            if station.is_alive:
                station.worker.end.remote(reason)
        self._revived.set()

    async def _freest(self) -> _Station:
        while not (alive := [station for station in self._stations if station.is_alive]) and not self._end:
            self._revived.clear()
            await self._revived.wait()
        if self._end:
            raise self._end
        return min(alive, key=lambda station: station.load / station.limit)

    def _note_death(self, station: _Station) -> None:
        """Ray starts the worker again; until it answers, it gets nothing."""
        if station.is_alive:
            station.is_alive, station.awaited = False, {}
            task = asyncio.create_task(self._revive(station))
            self._revivals.add(task)
            task.add_done_callback(self._revivals.discard)

    async def _revive(self, station: _Station) -> None:
        from ray.exceptions import RayActorError

        while not station.is_alive:
            await asyncio.sleep(REVIVAL_PAUSE_S)
            try:
                station.is_alive = await station.worker.__ray_ready__.remote()
            except RayActorError:
                continue
        self._revived.set()

    def close(self) -> None:
        for task in self._revivals:
            task.cancel()


@dataclass(frozen=True)
class RayDescriber:
    """Endpoints, asked from a Ray cluster, whose machines see the images under the same paths.

    Attributes:
        options: how all workers together ask.
        address: of the cluster, None for the usual places.
        num_workers: processes, None for as many as the cluster has CPUs.
    """

    options: EndpointOptions
    address: str | None = None
    num_workers: int | None = None

    def answer(self, wanted: Wanted, recorder: Recorder) -> str:
        """As `Describer.answer`.

        Raises:
            SettingsError: a key or a header is missing, Ray is not installed, or there is no such cluster, or it is
                too small.
            EndpointError: no request will do.
        """
        for key in choose_keys(self.options):
            # Refused here if it cannot be read, and known here as what must not be printed or stored.
            key.read()
        read_headers(self.options)
        with cluster(self.address) as ray:
            number = count_workers(ray, self.num_workers)
            share = self.options.share(number)
            kind = ray.remote(DescribeWorker).options(
                num_cpus=1, max_restarts=-1, max_concurrency=CALLS_AT_ONCE, scheduling_strategy="SPREAD"
            )
            # Prompts are filled in here, so that workers need no more of an image than where it is.
            bare = ray.put(replace(wanted.images, labels=wanted.images.labels[:0], columns={}))
            with ended(ray, [kind.remote(share, bare) for _ in range(number)]) as workers:
                on_ray = OnRay(workers, share.in_flight, self.options.urls)
                return asyncio.run(answer_all(on_ray, wanted.asks(recorder.store), recorder))

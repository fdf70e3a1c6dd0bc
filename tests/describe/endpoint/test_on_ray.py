"""Describing from a Ray cluster: the same rows as from one process, whoever is killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gpt4image.describe import DescribeSettings, Description, DescriptionStore, State, describe
from gpt4image.describe.endpoint.on_ray import OnRay, _Station
from gpt4image.errors import EndpointError, ModelError, SettingsError
from gpt4image.results import ExitStatus

Make = Callable[..., Path]


def rows_of(work: Path) -> list[Description]:
    """All that does not depend on when and how fast it was written, and on how often a server was busy."""
    with DescriptionStore.open(work) as store:
        return [replace(row, seconds=0.0, created="", attempts=1) for row in store.descriptions()]


@pytest.fixture
def settings(tmp_path: Path, image_folder: Make) -> DescribeSettings:
    """Forty images, a prompt with a place, two samples each; the endpoint is still to be filled in."""
    prompt = ("It is a {class}. Describe it.",)
    return DescribeSettings(
        str(image_folder(40)), tmp_path / "work", model="m", prompt=prompt, samples=2, on="ray", max_failures="100%"
    )


def test_rows_and_counts_are_those_of_a_single_process(chat_server, settings, ray_here) -> None:
    server = chat_server("--faults", "429=0.05", "empty=0.1", "refused=0.1")
    settings = replace(settings, endpoint=(server.url,))
    there = describe(settings)
    here = describe(replace(settings, work=settings.work.with_name("here"), on="here"))
    assert set(there.states) == set(here.states)
    assert there.exit_status == here.exit_status == ExitStatus.PARTLY
    assert (there.new, there.states, there.tokens_in) == (here.new, here.states, here.tokens_in)
    assert rows_of(settings.work) == rows_of(here.store.parent)
    assert describe(settings).kept == 80


def test_limits_stop_the_run_as_on_one_machine(chat_server, settings, ray_here) -> None:
    server = chat_server("--latency-s", "0.05")
    prices = {"usd_per_million_input": 1000.0, "usd_per_million_output": 1000.0}
    settings = replace(settings, endpoint=(server.url,), in_flight=2, max_tokens=10, ray_workers=1, **prices)
    result = describe(replace(settings, budget_usd=2.0))
    assert result.exit_status == ExitStatus.STOPPED
    assert "budget of $2" in result.stopped
    assert 0 < result.usd <= 2.0
    assert "deadline" in describe(replace(settings, deadline_s=0.5)).stopped
    refusing = chat_server("--faults", "refused=1.0")
    stopped = describe(replace(settings, endpoint=(refusing.url,), describer_name="other", max_failures="20")).stopped
    assert "descriptions failed, most as refused (--max-failures)" in stopped


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"endpoint": ("http://8.8.8.8/v1",)}, EndpointError, "add --allow-remote if that is intended"),
        ({"endpoint": ("http://127.0.0.1:9/v1",)}, EndpointError, "no endpoint can be reached"),
        ({"ray_workers": 500}, SettingsError, r"--ray-workers 500: the cluster has \d+ CPUs"),
        ({"describer": "local"}, ModelError, "runs vLLM on GPUs, and this cluster has none"),
    ],
)
def test_mistakes_are_one_clear_line(settings, ray_here, changes, error, words) -> None:
    changes = {"endpoint": ("http://127.0.0.1:9/v1",)} | changes
    with pytest.raises(error, match=words):
        describe(replace(settings, **changes))


def test_whoever_is_waited_for_at_the_end_has_a_name() -> None:
    on_ray = OnRay([], None, ["http://a/v1", "http://b/v1"])
    on_ray._stations = [_Station(None, load=2, is_alive=False), _Station(None, load=1, is_alive=False)]
    on_ray.end(EndpointError("enough"))
    assert on_ray.awaited == {"http://a/v1 and http://b/v1": 3}


@contextmanager
def started(command: list[str]) -> Iterator[psutil.Process]:
    """A process; whatever it left behind ends with the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        driver = psutil.Process(process.pid)
        family = [driver]
        try:
            yield driver
        finally:
            family += [child for child in psutil.process_iter() if _session(child) == process.pid]
            for member in family:
                if member.is_running():
                    member.kill()


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except OSError:
        return -1


def wait_for(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.05)


def workers_of(driver: psutil.Process) -> list[psutil.Process]:
    names = [(child, child.cmdline()) for child in driver.children(recursive=True)]
    return [child for child, words in names if words and words[0].startswith("ray::DescribeWorker")]


def test_a_killed_worker_and_a_killed_driver_lose_nothing_and_pay_for_little_twice(
    chat_server, settings, ray_here
) -> None:
    server, in_flight = chat_server("--latency-s", "0.3"), 4
    settings = replace(settings, endpoint=(server.url,), in_flight=in_flight)
    command = [sys.executable, "-m", "gpt4image.cli", "describe", settings.images, str(settings.work), "--on", "ray"]
    command += ["--endpoint", server.url, "--model", "m", "--prompt", *settings.prompt, "--samples", "2"]
    command += ["--in-flight", str(in_flight), "--ray-workers", "2"]
    with started(command) as driver:
        wait_for(lambda: server.counts()["asked"] >= 8)
        workers_of(driver)[0].kill()
        wait_for(lambda: server.counts()["asked"] >= 30)
        assert len(rows_of(settings.work)) >= 30 - in_flight, "the other worker has gone on, and rows are written"
        driver.kill()
        driver.wait()
    assert list(describe(settings).states.values()) == [{State.OK: 80}]
    counts = server.counts()
    assert counts["asked"] == 80
    assert counts["asked_twice"] <= 2 * in_flight, "only what was in flight when worker and driver died"

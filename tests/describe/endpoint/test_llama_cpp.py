"""A real llama.cpp server of random weights: what the doctor says of it, and twenty images.

Needs the packages xllamacpp and gguf of the extra dev, for which not every machine has wheels.
"""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gpt4image.describe import DescribeSettings, DescriptionStore, State, describe
from gpt4image.describe.doctor.stage import DoctorSettings, examine
from gpt4image.errors import EndpointError

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("xllamacpp", "gguf"))), reason="needs the packages xllamacpp and gguf"
)
SERVER = Path(__file__).with_name("llama_server.py")


@pytest.fixture
def llama(tmp_path: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen]]]:
    """Starts a server that `sees` or is `blind` and returns its URL and its process."""
    with ExitStack() as stack:

        def start(eyes: str, *port: str) -> tuple[str, subprocess.Popen]:
            command = [sys.executable, str(SERVER), str(tmp_path), eyes, *port]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            process = stack.enter_context(subprocess.Popen(command, text=True, env=os.environ, **pipes))
            stack.callback(process.kill)
            assert process.stdout is not None
            return next(line for line in process.stdout if line.startswith("http")).strip(), process

        yield start


def test_without_its_vision_part_nothing_is_recorded_and_the_reason_is_the_servers(
    llama, image_folder, tmp_path
) -> None:
    url, _ = llama("blind")
    settings = DescribeSettings(str(image_folder(20)), tmp_path / "work", endpoint=(url,), model="tiny")
    with pytest.raises(EndpointError, match=r"image input is not supported.*llama\.cpp: --mmproj"):
        describe(settings)
    with DescriptionStore.open(tmp_path / "work") as store:
        assert list(store.descriptions()) == []
    with pytest.raises(EndpointError, match=r"image input is not supported.*llama\.cpp: --mmproj"):
        examine(DoctorSettings(endpoint=url, model="tiny"))


def test_with_its_vision_part_twenty_images_and_the_verdict_on_random_weights(llama, image_folder, tmp_path) -> None:
    url, _ = llama("sees")
    settings = DescribeSettings(
        str(image_folder(20)), tmp_path / "work", endpoint=(url,), model="tiny", max_tokens=12, max_failures="100%"
    )
    result = describe(settings)
    assert result.new == 20
    with DescriptionStore.open(tmp_path / "work") as store:
        rows = list(store.descriptions())
    assert {row.state for row in rows} <= {State.OK, State.TRUNCATED, State.EMPTY, State.REASONING_ONLY}
    assert all(row.tokens_in > 16 and 0 < row.tokens_out <= 13 for row in rows), "an image alone is 16 tokens"
    verdict = examine(DoctorSettings(endpoint=url, model="tiny", max_tokens=12))
    assert not verdict.is_fit
    assert "does not see" in verdict.verdict or "thinks past" in verdict.verdict


def test_restarted_in_the_middle_it_costs_no_picture(llama, image_folder, tmp_path) -> None:
    url, process = llama("sees")
    port = url.rpartition(":")[2].removesuffix("/v1")

    def count_rows() -> int:
        with DescriptionStore.open(tmp_path / "work", create=True) as store:
            return sum(store.counts().values())

    def restart() -> None:
        while count_rows() < 5:
            time.sleep(0.02)
        process.kill()
        process.wait()
        time.sleep(1)
        llama("sees", port)

    thread = threading.Thread(target=restart)
    thread.start()
    settings = DescribeSettings(
        str(image_folder(60)), tmp_path / "work", endpoint=(url,), model="tiny", max_tokens=40, max_failures="100%"
    )
    result = describe(settings)
    thread.join()
    assert result.new == 60
    assert State.ENDPOINT_ERROR not in result.states["detailed@1"], result.errors

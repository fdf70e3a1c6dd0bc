"""Image folders, a misbehaving chat server, and `transformers serve` for the tests of the describe stage."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.describe.tiny_vlm import build_tiny_vlm

ImageFolder = Callable[..., Path]
SERVER = Path(__file__).parents[2] / "benchmarks/describe_server.py"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def image_folder(tmp_path: Path) -> ImageFolder:
    """Makes a folder of random JPEGs in the classes cat and dog."""

    def make(num_images: int = 6, size: int = 32, name: str = "images") -> Path:
        generator = np.random.default_rng(0)
        for number in range(num_images):
            path = tmp_path / name / ("cat", "dog")[number % 2] / f"{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(path)
        return tmp_path / name

    return make


@dataclass(frozen=True)
class ChatServer:
    """A running `describe_server.py`."""

    url: str
    process: subprocess.Popen

    def counts(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/counts") as answer:
            return json.load(answer)


@pytest.fixture
def chat_server() -> Iterator[Callable[..., ChatServer]]:
    """Starts servers with the arguments of `describe_server.py`."""
    with ExitStack() as stack:

        def start(*arguments: str) -> ChatServer:
            command = [sys.executable, str(SERVER), *arguments]
            process = stack.enter_context(_running(command, stdout=subprocess.PIPE, text=True))
            assert process.stdout is not None
            return ChatServer(process.stdout.readline().strip(), process)

        yield start


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a real vision-language model of 150,000 weights."""
    return build_tiny_vlm(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="session")
def served_vlm(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of `transformers serve` with the tiny model; its name there is its folder."""
    cache = tmp_path_factory.mktemp("hub")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_CACHE": str(cache)}
    port = _free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(tiny_vlm), "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    log = (cache / "log.txt").open("w")
    with _running(command, env=environment, stdout=log, stderr=log):
        _wait_until_healthy(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def _running(command: list[str], **options: Any) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(url: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} did not answer within {seconds} s")

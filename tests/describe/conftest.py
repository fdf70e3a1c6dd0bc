"""Image folders, a misbehaving chat server, and `transformers serve` for the tests of the describe stage."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.describe.endpoint.stubs import Respond, Stub, serve
from tests.describe.tiny_vlm import build_tiny_vlm

from gpt4image.cli.run import main
from gpt4image.describe import Description, DescriptionStore

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


@dataclass
class Run:
    """What became of one command: its exit status, what it printed, the rows of its store."""

    status: int
    out: str
    err: str
    rows: list[Description]

    @property
    def states(self) -> dict[str, int]:
        return dict(Counter(str(row.state) for row in self.rows))

    @property
    def words(self) -> str:
        return " ".join((self.out + self.err).split())


@dataclass
class Describing:
    """Starts stub servers, and `gpt4image describe` on pictures of a folder."""

    folder: Path
    work: Path
    stack: ExitStack
    capsys: pytest.CaptureFixture[str]

    def serve(self, respond: Respond, certificate: tuple[str, str] | None = None, host: str = "127.0.0.1") -> Stub:
        return self.stack.enter_context(serve(respond, certificate, host))

    def run(self, *urls: str, options: Sequence[str] = (), work: Path | None = None) -> Run:
        work = work or self.work
        arguments = ["describe", str(self.folder), str(work), "--endpoint", *urls, "--model", "m"]
        self.capsys.readouterr()
        status = main([*arguments, "--timeout-s", "5", "--max-failures", "100%", *options])
        printed = self.capsys.readouterr()
        rows: list[Description] = []
        if (work / "descriptions.sqlite").exists():
            with DescriptionStore.open(work) as store:
                rows = list(store.descriptions())
        assert "Traceback" not in printed.out + printed.err
        return Run(status, printed.out, printed.err, rows)


@pytest.fixture
def describing(image_folder: ImageFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Describing]:
    """Forty pictures, ten of each of four sizes, and whoever shall describe them."""
    folder = image_folder(0, name="forty")
    generator = np.random.default_rng(1)
    for number in range(40):
        path = folder / ("cat", "dog")[number % 2] / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        side = (32, 48, 64, 128)[number // 10]
        Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    with ExitStack() as stack:
        yield Describing(folder, tmp_path / "work", stack, capsys)


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a real vision-language model of 150,000 weights."""
    return build_tiny_vlm(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="session")
def served_vlm(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of `transformers serve` with the tiny model; its name there is its folder."""
    port = free_port()
    with serve_vlm(tiny_vlm, tmp_path_factory.mktemp("hub"), port):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def serve_vlm(model: Path, cache: Path, port: int) -> Iterator[subprocess.Popen]:
    """`transformers serve`, which answers by now."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_CACHE": str(cache)}
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (cache / "log.txt").open("w") as log, _running(command, env=environment, stdout=log, stderr=log) as process:
        _wait_until_healthy(f"http://127.0.0.1:{port}/health")
        yield process


@contextmanager
def _running(command: list[str], **options: Any) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
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

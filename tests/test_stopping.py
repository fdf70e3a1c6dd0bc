"""Signals, kills and two at once, with real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.errors import DescriptionError
from gpt4image.files import find_left_over, remove_left_over, write_json
from gpt4image.stopping import locked

SERVER = Path(__file__).parents[1] / "benchmarks/describe_server.py"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes with pipes, and ends them."""
    with ExitStack() as stack:

        def run(*words: str) -> "subprocess.Popen[str]":
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            # Tests that a shell runs in the background have inherited that Ctrl-C is ignored.
            heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            process = stack.enter_context(subprocess.Popen([sys.executable, *words], preexec_fn=heed, **pipes))
            stack.callback(process.kill)
            return process

        yield run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def serve(start: Start, *arguments: str) -> str:
    server = start(str(SERVER), *arguments)
    assert server.stdout is not None
    return server.stdout.readline().strip()


def command(*words: object) -> list[str]:
    return ["-m", "gpt4image.cli", *map(str, words)]


def wait_until(is_true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(process: int) -> list[int]:
    """All processes that a process has started, and they have."""
    found = [
        int(word) for path in Path(f"/proc/{process}/task").glob("*/children") for word in path.read_text().split()
    ]
    return [*found, *(grandchild for child in found for grandchild in children(child))]


def counts(url: str) -> dict:
    import urllib.request

    with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
        return json.load(answer)


def num_stored(work: Path) -> int:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(work / "descriptions.sqlite")) as connection:
        return connection.execute("SELECT COUNT(*) FROM descriptions WHERE state = 'ok'").fetchone()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stores_what_is_in_flight_and_asks_for_nothing_more(
    start: Start, photos: Path, tmp_path: Path, number: int
) -> None:
    url, work = serve(start, "--latency-s", "1.0"), tmp_path / "work"
    words = command("describe", photos, work, "--endpoint", url, "--model", "m", "--in-flight", 3)
    process = start(*words)
    wait_until(lambda: counts(url)["peak_in_flight"] == 3)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, "stopped: interrupted; the same command goes on from here" in out) == (4, True)
    asked = counts(url)["requests"]
    assert (asked, num_stored(work)) == (3, 3)
    assert start(*words).wait(60) == 0
    assert (counts(url)["requests"], num_stored(work)) == (12, 12)


def test_sigterm_is_ctrl_c_in_every_command() -> None:
    """Each command's own function gets the signal while it works."""
    code = (
        "import os, signal, sys, time\n"
        "from gpt4image.cli import main, run\n"
        "from gpt4image.cli.commands import COMMANDS, Command\n"
        "class Settings: pass\n"
        "def work(settings):\n"
        "    os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)\n"
        "Command.load = lambda command: (Settings, work)\n"
        "run.parse_settings = lambda *words: Settings()\n"
        "print([name for name in COMMANDS if main([name]) != 4])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "[]")
    assert set(ran.stderr.splitlines()) == {"stopped; finished work is kept, the same command goes on from there"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_served_gallery_is_meant_to_be_stopped(start: Start, photos: Path, tmp_path: Path, number: int) -> None:
    url, work = serve(start), tmp_path / "work"
    assert start(*command("describe", photos, work, "--endpoint", url, "--model", "m")).wait(60) == 0
    gallery = start(*command("gallery", work, "--images", photos, "--serve", "--port", 0))
    assert gallery.stdout is not None
    assert gallery.stdout.readline().startswith("http://127.0.0.1")
    gallery.send_signal(number)
    _, told = gallery.communicate(timeout=30)
    assert (gallery.returncode, told.splitlines()[-1]) == (0, "stopped; every change is on disk")


def test_a_second_describe_of_one_work_folder_is_refused_and_a_dead_lock_taken_over(
    start: Start, photos: Path, tmp_path: Path
) -> None:
    url, work = serve(start, "--latency-s", "3"), tmp_path / "work"
    words = command("describe", photos, work, "--endpoint", url, "--model", "m", "--in-flight", 12)
    first = start(*words)
    wait_until(lambda: counts(url)["peak_in_flight"])
    second = start(*words)
    _, told = second.communicate(timeout=60)
    line = f"{work} is being described by another process; wait for it, or stop it first (process {first.pid})"
    assert (second.returncode, told.splitlines()[-1]) == (2, f"gpt4image describe: {line}")
    first.kill()
    first.wait()
    third = start(*words)
    wait_until(lambda: num_stored(work) == 12)
    assert third.wait(30) == 0


def test_a_lock_is_free_when_its_holder_is_dead_or_done(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1\n")
    with locked(tmp_path / "lock", "it is used", DescriptionError):
        code = (
            "import sys; from pathlib import Path; from gpt4image.stopping import locked\n"
            "from gpt4image.errors import DescriptionError\n"
            f"with locked(Path({str(tmp_path / 'lock')!r}), 'it is used', DescriptionError): pass"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"it is used by another process; wait for it, or stop it first (process {os.getpid()})" in told.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_of_a_comparison_end_with_it(start: Start, photos: Path, tmp_path: Path, number: int) -> None:
    (tmp_path / "recipe.yaml").write_text(
        f"title: t\nimages: {photos}\ntest_images: {photos}\nseeds: 2\narms: [baseline]\n"
        "train: {model: test_resnet, input_size: 32, epochs: 100000, batch_size: 4, workers: 1}\n"
    )
    words = command("compare", tmp_path / "recipe.yaml", "--out", tmp_path / "out", "--jobs", 2)
    process = start(*words)
    wait_until(lambda: len(list((tmp_path / "out").rglob("metrics.jsonl"))) == 2 or process.poll() is not None, 120)
    assert process.poll() is None, process.communicate()
    workers = children(process.pid)
    assert len(workers) >= 4
    process.send_signal(number)
    assert process.wait(10) == (4 if number == signal.SIGTERM else -number)
    wait_until(lambda: not any(map(is_running, workers)), 2)


def test_a_pool_that_has_done_its_work_does_not_wait_for_its_workers_to_take_themselves_apart() -> None:
    """For seconds, in which an interrupt would leave them behind."""
    code = (
        "from gpt4image.compare.runner import start_pool\n"
        "if __name__ == '__main__':\n"
        "    with start_pool(2) as pool:\n"
        "        slow = 'import threading, time; threading.Thread(target=time.sleep, args=(300,)).start()'\n"
        "        pool.submit(exec, slow).result()\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=100, check=True)


def test_what_killed_processes_left_behind_is_removed_at_the_next_write(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left_over, others, alive = (
        tmp_path / f".{name}.{process}.tmp" for name, process in (("a", dead.pid), ("b", dead.pid), ("a", os.getppid()))
    )
    for path in (left_over, others, alive):
        path.touch()
    assert find_left_over(tmp_path, "a") == [left_over]
    write_json(tmp_path / "a", 1)
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a", others, alive])


def test_folders_that_killed_processes_left_behind_are_removed_too(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".exported.{dead.pid}.tmp/within").mkdir(parents=True)
    remove_left_over(tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


def test_a_pool_that_a_library_forks_ends_without_a_word() -> None:
    """SIGTERM is Ctrl-C in the command's own process only."""
    code = (
        "import multiprocessing\n"
        "from gpt4image.stopping import terminate_as_interrupt\n"
        "terminate_as_interrupt()\n"
        "pool = multiprocessing.get_context('fork').Pool(2)\n"
        "assert pool.map(abs, [-1, 2]) == [1, 2]\n"
        "pool.terminate()\n"
        "pool.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux does it")
def test_a_worker_ends_with_its_parent_even_while_a_library_holds_it(start: Start) -> None:
    """As one does that is being loaded: no thread of the worker gets its turn."""
    worker = (
        "import ctypes, os; from gpt4image.stopping import kill_with_parent; kill_with_parent(); "
        "print(os.getpid(), flush=True); ctypes.PyDLL(None).sleep(60)"
    )
    parent = start("-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])")
    assert parent.stdout is not None
    process = int(parent.stdout.readline())
    parent.kill()
    wait_until(lambda: not is_running(process), 2)


END = """
import atexit, sys, threading, time
from gpt4image.cli import program

class Heavy:
    def __del__(self):
        print("taken apart", flush=True)

kept = Heavy()
atexit.register(print, "at exit")
threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
sys.argv = ["gpt4image", "no-such-command"]
program()
"""


def test_the_program_ends_without_being_taken_apart_but_does_what_has_to_be_done() -> None:
    """Taking everything apart took most of the time after Ctrl-C."""
    ended = subprocess.run([sys.executable, "-c", END], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split("\n")) == (2, ["thread", "at exit", ""])
    assert "there is no such command" in ended.stderr


def test_a_signal_after_the_end_of_a_command_is_no_traceback() -> None:
    code = """
import signal
import gpt4image.cli.run as run

def main():
    signal.raise_signal(signal.SIGINT)

run.main = main
run.program()
"""
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, preexec_fn=heed)
    assert (ended.returncode, ended.stderr) == (4, "")

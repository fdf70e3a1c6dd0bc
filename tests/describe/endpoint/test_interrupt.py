"""Ctrl-C, and servers that die and come back, in the middle of a run."""

import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

from gpt4image.describe import DescriptionStore


def wait_for(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["asked to wait", "loading", "hanging", "retrying"])
def test_ctrl_c_in_a_long_wait_ends_within_two_seconds_and_keeps_every_answer(describing, kind: str) -> None:
    later = {
        "asked to wait": failure(429, "not now", {"Retry-After": "300"}),
        "loading": failure(503, "Loading the model"),
        "hanging": failure(500, "never sent", seconds=60),
        "retrying": failure(500, "oops"),
    }[kind]

    def respond(asked: Asked) -> Answer:
        return completion(asked.text) if asked.number <= 10 else later

    stub = describing.serve(respond)
    command = [sys.executable, "-m", "gpt4image.cli", "describe", str(describing.folder), str(describing.work)]
    command += ["--endpoint", stub.url, "--model", "m"]
    # A test run in the background of a shell hands on that it ignores Ctrl-C.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes, preexec_fn=heed)
    wait_for(lambda: len(stub.asked) > 14)
    time.sleep(1.0)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    if kind == "hanging":
        # What is in flight may yet be answered, and is awaited unless Ctrl-C is pressed once more.
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - start < 2
    assert process.returncode == 4
    assert "stopped: interrupted; the same command goes on from here" in out
    assert "Traceback" not in err
    with DescriptionStore.open(describing.work) as store:
        assert len(list(store.ok_descriptions())) == 10


def test_a_server_that_is_restarted_in_the_middle_costs_no_picture(describing, chat_server) -> None:
    first = chat_server("--latency-s", "0.1")
    port = first.url.rpartition(":")[2].removesuffix("/v1")

    def restart() -> None:
        wait_for(lambda: first.counts()["asked"] >= 12)
        first.process.kill()
        first.process.wait()
        time.sleep(2)
        chat_server("--latency-s", "0.1", "--port", port)

    thread = threading.Thread(target=restart)
    thread.start()
    run = describing.run(first.url, options=["--in-flight", "4"])
    thread.join()
    assert (run.status, run.states) == (0, {"ok": 40})

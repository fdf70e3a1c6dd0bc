"""Ctrl-C, and servers that die and come back, in the middle of a run."""

import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

from gpt4image.describe import DescriptionStore
from gpt4image.describe.endpoint.tasks import GRACE_S


def wait_for(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_until_quiet(stub, seconds: float = 1.0, most: float = 10.0) -> None:
    """Until nothing has been asked for so many seconds; on a busy machine, the last requests come late."""
    deadline = time.monotonic() + most
    while time.monotonic() < deadline:
        asked = len(stub.asked)
        time.sleep(seconds)
        if len(stub.asked) == asked:
            return


def start_describing(describing, stub, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "gpt4image.cli", "describe", str(describing.folder), str(describing.work)]
    command += ["--endpoint", stub.url, "--model", "m", *options]
    # A test run in the background of a shell hands on that it ignores Ctrl-C.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, preexec_fn=heed)


def check_stopped(describing, process: "subprocess.Popen[str]", num_stored: int) -> str:
    out, err = process.communicate(timeout=20)
    assert process.returncode == 4
    assert "stopped: interrupted; the same command goes on from here" in out
    assert "Traceback" not in err
    with DescriptionStore.open(describing.work) as store:
        assert len(list(store.ok_descriptions())) == num_stored
    return err


LATER = {
    "asked to wait": failure(429, "not now", {"Retry-After": "300"}),
    "loading": failure(503, "Loading the model"),
    "dead": failure(502, "nobody behind me"),
    "dead and silent": failure(502, "nobody behind me"),
    "waiting for a key": failure(401, "this token is over"),
    "within the plan": completion("a text"),
}


@pytest.mark.parametrize("kind", LATER)
def test_ctrl_c_in_a_long_wait_ends_at_once_and_keeps_every_answer(describing, kind: str) -> None:
    """At the first press: nothing is in flight that could be answered and paid for."""
    num_answered = 1 if kind == "within the plan" else 10
    silence_s = 60 * (kind == "dead and silent")

    def respond(asked: Asked) -> Answer:
        if asked.number <= num_answered:
            return completion(asked.text)
        return replace(LATER[kind], seconds=silence_s * (asked.number > num_answered + 24))

    stub = describing.serve(respond)
    (describing.folder.parent / "key").write_text("old")
    options = {
        "waiting for a key": ["--api-key-file", str(describing.folder.parent / "key")],
        "within the plan": ["--requests-per-minute", "3"],
    }.get(kind, [])
    process = start_describing(describing, stub, *options)
    few = -1 if kind == "within the plan" else 24 if kind == "dead and silent" else 0
    wait_for(lambda: len(stub.asked) > num_answered + few, 60)
    wait_until_quiet(stub)
    process.send_signal(signal.SIGINT)
    process.wait(GRACE_S - 10)
    assert "answers of" not in check_stopped(describing, process, num_answered)


def test_ctrl_c_waits_for_what_is_in_flight_and_says_for_whom_and_until_when(describing) -> None:
    stub = describing.serve(lambda asked: Answer(completion(asked.text).body, seconds=4 * (asked.number > 10)))
    process = start_describing(describing, stub, "--in-flight", "3")
    wait_for(lambda: len(stub.asked) > 12)
    process.send_signal(signal.SIGINT)
    err = check_stopped(describing, process, 13)
    assert re.search(
        rf"stopping: waits for 3 answers of {stub.url}, until \d\d:\d\d:\d\d at most; Ctrl-C once more stops", err
    )


def test_ctrl_c_pressed_twice_waits_for_nobody(describing) -> None:
    stub = describing.serve(lambda asked: Answer(completion(asked.text).body, seconds=60 * (asked.number > 10)))
    process = start_describing(describing, stub)
    wait_for(lambda: len(stub.asked) > 10)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.wait(GRACE_S - 10)
    assert "Ctrl-C once more stops at once" in check_stopped(describing, process, 10)


def test_a_server_that_is_restarted_in_the_middle_costs_no_picture(describing, chat_server) -> None:
    first = chat_server("--latency-s", "0.1")
    port = first.url.rpartition(":")[2].removesuffix("/v1")

    def restart() -> None:
        wait_for(lambda: first.counts()["asked"] >= 12)
        asked.append(first.counts()["asked"])
        first.process.kill()
        first.process.wait()
        time.sleep(2)
        servers.append(chat_server("--latency-s", "0.1", "--port", port))

    asked, servers = [], []
    thread = threading.Thread(target=restart)
    thread.start()
    run = describing.run(first.url, options=["--in-flight", "4"])
    thread.join()
    assert (run.status, run.states) == (0, {"ok": 40})
    # What was in flight at the kill is asked again; whoever asks meanwhile reaches nobody.
    assert 40 <= asked[0] + servers[0].counts()["asked"] <= 52
    assert "40 new" in run.out

"""The endpoint describer against a real server on loopback that misbehaves as told."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from gpt4image.describe import DescribeSettings, DescriptionStore, State, describe
from gpt4image.errors import EndpointError, SettingsError
from gpt4image.results import ExitStatus

Make = Callable[..., Path]


def rows_of(work: Path) -> list:
    with DescriptionStore.open(work) as store:
        return list(store.descriptions())


@pytest.fixture
def settings(tmp_path: Path, image_folder: Make) -> DescribeSettings:
    """Six images; the endpoint is still to be filled in."""
    return DescribeSettings(
        str(image_folder(6)), tmp_path / "work", endpoint=(), model="m", timeout_s=2.0, max_failures="100%"
    )


def test_every_image_is_described_once_and_the_request_is_as_documented(chat_server, settings) -> None:
    server = chat_server()
    settings = replace(settings, endpoint=(server.url,), prompt=("It is a {class}. Describe it.",), max_tokens=77)
    result = describe(settings)
    assert (result.new, result.kept, result.exit_status) == (6, 0, ExitStatus.DONE)
    assert (result.tokens_in, result.tokens_out) == (6 * 85, 6 * 15)
    body = server.counts()["last_request"]["body"]
    assert (body["model"], body["max_tokens"]) == ("m", 77)
    assert body["messages"][0]["content"][1]["text"] in ("It is a cat. Describe it.", "It is a dog. Describe it.")
    assert "seed" not in body
    assert describe(settings).kept == 6
    assert server.counts()["requests"] == 6


def test_faults_that_pass_are_retried_and_lasting_ones_become_states(chat_server, settings, image_folder) -> None:
    faults = ["429=0.05", "500=0.05", "hang=0.03", "cut=0.05", "empty=0.1", "reasoning_only=0.1", "refused=0.1"]
    server = chat_server("--faults", *faults)
    folder = image_folder(60, name="sixty")
    result = describe(replace(settings, images=str(folder), endpoint=(server.url,), timeout_s=1.0))
    states = result.states["detailed@1"]
    assert sum(states.values()) == 60
    assert set(states) == {State.OK, State.EMPTY, State.REASONING_ONLY, State.REFUSED}
    assert result.exit_status == ExitStatus.PARTLY
    rows = rows_of(settings.work)
    assert all(row.text.startswith("A thing of kind") for row in rows if row.state is State.OK)
    assert all("think" in row.reasoning for row in rows if row.state is State.REASONING_ONLY)
    counts = server.counts()
    assert counts["asked"] == 60
    assert sum(row.attempts for row in rows) == counts["requests"]


def test_raising_max_tokens_redoes_the_truncated_ones_only(chat_server, settings) -> None:
    server = chat_server("--faults", "truncated=0.5")
    settings = replace(settings, endpoint=(server.url,), max_tokens=100)
    truncated = describe(settings).states["detailed@1"][State.TRUNCATED]
    assert 0 < truncated < 6
    assert describe(settings).redone == 0
    result = describe(replace(settings, max_tokens=500))
    assert (result.redone, result.states["detailed@1"]) == (truncated, {State.OK: 6})
    assert server.counts()["requests"] == 6 + truncated


def test_retry_failed_repairs_reasoning_only_with_thinking_off(chat_server, settings) -> None:
    server = chat_server("--faults", "reasoning_only=0.5", "--thinking-can-be-off")
    settings = replace(settings, endpoint=(server.url,))
    failed = describe(settings).states["detailed@1"][State.REASONING_ONLY]
    result = describe(replace(settings, retry_failed=True))
    assert (result.redone, result.states["detailed@1"]) == (failed, {State.OK: 6})
    body = server.counts()["last_request"]["body"]
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["max_tokens"] == 2 * settings.max_tokens


def test_fields_an_endpoint_does_not_know_are_left_out(chat_server, settings) -> None:
    server = chat_server("--refuses-fields", "max_tokens", "reasoning_effort", "chat_template_kwargs")
    result = describe(replace(settings, endpoint=(server.url,), thinking="off", in_flight=1))
    assert result.states["detailed@1"] == {State.OK: 6}
    body = server.counts()["last_request"]["body"]
    assert body["max_completion_tokens"] == settings.max_tokens
    assert not {"max_tokens", "reasoning_effort", "chat_template_kwargs"} & body.keys()


def test_a_picture_the_endpoint_refuses_is_recorded_and_the_run_goes_on(chat_server, settings) -> None:
    server = chat_server("--faults", "bad_request=0.5")
    result = describe(replace(settings, endpoint=(server.url,)))
    assert set(result.states["detailed@1"]) == {State.OK, State.ENDPOINT_ERROR}
    errors = {row.error for row in rows_of(settings.work) if row.state is State.ENDPOINT_ERROR}
    assert len(errors) == 1
    assert "image cannot be decoded" in errors.pop()


def test_an_endpoint_that_refuses_every_picture_is_one_clear_line(chat_server, settings) -> None:
    server = chat_server("--faults", "bad_request=1.0")
    with pytest.raises(EndpointError, match=r"takes no picture at all .*check --model"):
        describe(replace(settings, endpoint=(server.url,)))


def test_a_new_image_costs_one_request_and_renaming_costs_none(chat_server, settings, image_folder) -> None:
    server = chat_server()
    settings = replace(settings, endpoint=(server.url,))
    describe(settings)
    folder = Path(settings.images)
    (folder / "cat").rename(folder / "kitten")
    Image.new("RGB", (20, 20), "red").save(folder / "dog/new.jpg")
    result = describe(settings)
    assert (result.kept, result.new) == (6, 1)
    assert server.counts()["requests"] == 7


def test_work_is_shared_among_endpoints(chat_server, settings, image_folder) -> None:
    servers = [chat_server("--latency-s", "0.1"), chat_server("--latency-s", "0.1")]
    urls = tuple(server.url for server in servers)
    describe(replace(settings, images=str(image_folder(40, name="forty")), endpoint=urls))
    asked = [server.counts()["asked"] for server in servers]
    assert sum(asked) == 40
    assert min(asked) >= 12


def test_an_endpoint_that_dies_leaves_the_work_to_the_other(chat_server, settings, image_folder) -> None:
    dead, alive = chat_server(), chat_server()
    dead.process.kill()
    folder = image_folder(40, name="forty")
    result = describe(replace(settings, images=str(folder), endpoint=(dead.url, alive.url)))
    assert result.states["detailed@1"] == {State.OK: 40}


def test_no_exif_and_no_large_picture_leaves_the_machine(chat_server, settings, tmp_path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "SecretCameraMaker"
    Image.new("RGB", (1600, 800), "red").save(folder / "large.jpg", exif=exif)
    server = chat_server()
    describe(replace(settings, images=str(folder), endpoint=(server.url,), image_size=320))
    url = server.counts()["last_request"]["body"]["messages"][0]["content"][0]["image_url"]["url"]
    import base64

    sent = base64.b64decode(url.partition(",")[2])
    with Image.open(io.BytesIO(sent)) as image:
        assert (image.format, image.size) == ("JPEG", (160, 320)), "turned upright, then scaled"
        assert not image.getexif()
    assert b"SecretCameraMaker" not in sent


def test_budget_and_deadline_stop_with_status_4_and_the_same_command_goes_on(chat_server, settings) -> None:
    server = chat_server("--latency-s", "0.05")
    prices = {"usd_per_million_input": 1000.0, "usd_per_million_output": 1000.0}
    settings = replace(settings, endpoint=(server.url,), in_flight=1, **prices)
    result = describe(replace(settings, budget_usd=0.35, max_tokens=10, image_size=64))
    assert result.exit_status == ExitStatus.STOPPED
    assert "budget of $0.35" in result.stopped
    assert result.usd <= 0.35
    result = describe(replace(settings, deadline_s=0.01))
    assert result.exit_status == ExitStatus.STOPPED
    assert "deadline" in result.stopped
    assert describe(settings).states["detailed@1"] == {State.OK: 6}
    assert server.counts()["asked_twice"] == 0


def test_too_many_failures_stop_the_run(chat_server, settings, image_folder) -> None:
    server = chat_server("--faults", "refused=1.0")
    folder = image_folder(150, name="many")
    result = describe(replace(settings, images=str(folder), endpoint=(server.url,), max_failures="5%"))
    assert result.exit_status == ExitStatus.STOPPED
    assert "descriptions failed, most as refused (--max-failures)" in result.stopped
    assert server.counts()["requests"] < 120


def test_requests_a_minute_are_kept(chat_server, settings) -> None:
    server = chat_server()
    start = time.monotonic()
    describe(replace(settings, endpoint=(server.url,), requests_per_minute=120))
    assert time.monotonic() - start > 1.4, "6 requests at 2 a second, the first two at once"


def test_kill_9_in_the_middle_and_no_description_is_asked_for_twice(chat_server, settings, image_folder) -> None:
    server = chat_server("--latency-s", "0.1")
    folder = image_folder(80, name="eighty")
    command = [sys.executable, "-m", "gpt4image.cli", "describe", str(folder), str(settings.work)]
    command += ["--endpoint", server.url, "--model", "m", "--in-flight", "4"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while server.counts()["asked"] < 20:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(command, check=True, capture_output=True)
    counts = server.counts()
    assert counts["asked"] == 80
    assert counts["asked_twice"] <= 4, "only what was in flight when the process died"
    assert len(rows_of(settings.work)) == 80


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"endpoint": ()}, SettingsError, "needs --endpoint URL"),
        ({"endpoint": ("localhost:80",)}, SettingsError, "must be a URL"),
        ({"endpoint": ("http://user:secret@localhost/v1",)}, SettingsError, r"\*\*\*@localhost holds a password"),
        ({"endpoint": ("http://8.8.8.8/v1",)}, EndpointError, "add --allow-remote if that is intended"),
        ({"endpoint": ("http://127.0.0.1:9/v1",)}, EndpointError, "no endpoint can be reached"),
        ({"model": None}, SettingsError, "needs --model"),
        ({"max_tokens": 0}, SettingsError, "--max-tokens 0 must be more than 0"),
        ({"max_failures": "many"}, SettingsError, "must be a share such as 5% or a number"),
        ({"budget_usd": 1.0}, SettingsError, "--budget-usd needs --usd-per-million-input"),
        ({"extra_body": "top_p"}, SettingsError, "must be a JSON object"),
    ],
)
def test_mistakes_are_one_clear_line(settings, changes, error, words) -> None:
    changes = {"endpoint": ("http://127.0.0.1:9/v1",)} | changes
    with pytest.raises(error, match=words):
        describe(replace(settings, **changes))

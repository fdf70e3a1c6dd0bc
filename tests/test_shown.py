"""What is printed and written: keys masked, control characters shown, formulas defused."""

import base64
import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from gpt4image import progress, shown
from gpt4image.cli import main
from gpt4image.cli.run import _show
from gpt4image.describe.asking.reply import MOST_CHARACTERS, UnusableReplyError, parse_reply
from gpt4image.describe.endpoint.failures import MOST_ERROR_CHARACTERS, shorten
from gpt4image.describe.endpoint.privacy import check_endpoints
from gpt4image.errors import SettingsError
from gpt4image.files import write_csv, write_json
from gpt4image.results import StageResult, make_table
from gpt4image.shown import mask_keys, note_key_variable, printable, printable_json, printable_line

KEY = "sk-0123456789abcdef"


@contextmanager
def echoing_server(state: int) -> Iterator[str]:
    """A chat endpoint that answers about all pictures but the second one, for which it sends back the Authorization."""
    requests: list[bytes] = []

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(self.rfile.read(int(self.headers["Content-Length"])))
            is_answered = requests[-1] != next((request for request in requests if request != requests[0]), b"")
            words = "A photo of a cat." if is_answered else f"You sent {self.headers['Authorization']}"
            message = {"message": {"content": words, "reasoning_content": words}, "finish_reason": "stop"}
            body = json.dumps(
                {"choices": [message]} if is_answered or state == 200 else {"error": {"message": words}}
            ).encode()
            self.send_response(200 if is_answered else state)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.mark.parametrize(("state", "flag"), [(200, "env"), (500, "env"), (401, "env"), (200, "file")])
def test_a_key_that_an_endpoint_echoes_is_neither_stored_exported_nor_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], state: int, flag: str
) -> None:
    key = f"{KEY}-{state}-{flag}"
    monkeypatch.chdir(tmp_path)
    if flag == "env":
        monkeypatch.setenv("MY_SECRET", key)
    else:
        Path("MY_SECRET").write_text(f"{key}\n")
    Path("photos").mkdir()
    for name, colour in (("a", "black"), ("b", "white")):
        Image.new("RGB", (8, 8), colour).save(f"photos/{name}.png")
    with echoing_server(state) as url:
        words = ["--endpoint", url, "--model", "m", f"--api-key-{flag}", "MY_SECRET", "--retries", "0"]
        main(["describe", "photos", "work", *words])
    main(["describe-export", "work", "out.jsonl", "--all-states"])
    with closing(sqlite3.connect("work/descriptions.sqlite")) as connection:
        rows = connection.execute("SELECT text, reasoning, error FROM descriptions").fetchall()
    assert ("Bearer ***" in str(rows)) == (state != 401)
    written = b"".join(path.read_bytes() for path in Path("work").rglob("*") if path.is_file())
    exported = Path("out.jsonl").read_text() if Path("out.jsonl").exists() else ""
    assert key not in str(rows) + str(written) + exported + "".join(capfd.readouterr())


def test_all_key_variables_are_masked_and_short_values_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", "other-0123456789")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert mask_keys(f"none {KEY} other-0123456789") == "none *** other-0123456789"
    note_key_variable("OTHER_KEY")
    assert mask_keys(f"none {KEY} other-0123456789") == "none *** ***"
    write_json(tmp_path / "a.json", {"url": f"http://host?x={KEY}"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"url": "http://host?x=***"}


@pytest.mark.parametrize(
    "written",
    [
        "sk-a%2FB%2Bc%3D12345",
        "sk-a%2fB%2bc%3d12345",
        "sk-a/B%2Bc%3D12345",
        "sk-a\\/B+c=12345",
        base64.b64encode(b"sk-a/B+c=12345").decode(),
        base64.urlsafe_b64encode(b"sk-a/B+c=12345").decode().rstrip("="),
        b"sk-a/B+c=12345".hex(),
    ],
)
def test_a_key_is_masked_in_other_spellings_too(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a/B+c=12345")
    assert shown.mask_keys(f"see {written} here").rstrip("=").split()[1].rstrip("=") == shown.MASK


def test_a_key_is_masked_before_a_text_is_cut_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    half = len(KEY) // 2
    told = [shorten("x" * (MOST_ERROR_CHARACTERS - half) + KEY)]
    error = {"error": {"message": "x" * (300 - half) + KEY}}
    for body in (json.dumps(error), "x" * (200 - half) + KEY):
        with pytest.raises(UnusableReplyError) as caught:
            parse_reply(body.encode())
        told.append(str(caught.value))
    long = "x" * (MOST_CHARACTERS - half) + KEY
    for message in ({"content": long}, {"content": "", "reasoning_content": long}):
        reply = parse_reply(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())
        told.append(reply.text + reply.reasoning)
    for text in told:
        assert len(text) > 150
        assert KEY[:4] not in text


@pytest.mark.parametrize("query", ["api_key=abc", "key=abc", "access_token=abc", "sig=abc&v=1"])
def test_a_key_in_an_address_is_refused_and_not_shown(query: str) -> None:
    with pytest.raises(SettingsError, match=r"=\*\*\* holds a key; put it into an environment variable") as told:
        check_endpoints([f"http://127.0.0.1:1/v1?{query}"], allow_remote=False)
    assert "abc" not in str(told.value)
    check_endpoints(["http://127.0.0.1:1/v1?api-version=2024-10-21"], allow_remote=False)


def test_control_characters_are_shown_and_nothing_else_changes() -> None:
    assert printable("a\x1b[2Jb\x07\x9b\u202egnp.\x7f\udce9") == r"a\x1b[2Jb\x07\x9b\u202egnp.\x7f\udce9"
    assert printable("größe 猫 \U0001f431\tx\ny") == "größe 猫 \U0001f431\tx\ny"
    assert printable_line("a\nb") == r"a\nb"
    assert json.loads(printable_json(json.dumps({"a": "\x9b\u202e"}, ensure_ascii=False))) == {"a": "\x9b\u202e"}


def test_names_and_texts_with_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (8, 8)).save(photos / "a.png")
    (photos / "b\x1b]0;owned\x07\n.png").write_text("no image")
    (tmp_path / "c.csv").write_text("path,\x1b[31mcaption\na.png,text\n")
    command = [sys.executable, "-m", "gpt4image.cli", "describe", "photos", "work", "--describer", "replay"]
    for field, as_json in (("\x1b[31mcaption", []), ("\x1b[31mcaption", ["--json"]), ("none\x1b[2J", [])):
        words = [*command, "--file", "c.csv", "--field", field, *as_json]
        told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert not {"\x1b", "\x07"} & set(told.stdout + told.stderr)
        assert r"\x1b[" in told.stdout + told.stderr or "\\u001b[" in told.stdout
    assert told.returncode == 2
    assert len(told.stderr.splitlines()[-1:]) == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_shows_any_name_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    name, shown = "run[/x] [red]\x1b[2J\u202e", r"run[/x] [red]\x1b[2J\u202e"
    screen = io.StringIO()
    console = Console(file=screen if is_terminal else None, stderr=True, force_terminal=is_terminal, width=200)
    monkeypatch.setattr(progress, "console", console)
    with progress.track(name, 2) as tracker:
        tracker.advance(note=f"note of {name}")
    told = capsys.readouterr().err + re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert told.replace(f"note of {shown}", "").count(shown) >= 1
    assert f"note of {shown}" in told
    assert "\u202e" not in told


def test_what_looks_like_markup_is_shown_as_it_is_in_lines_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's text might make a link of itself, or end a command with a traceback."""
    words = "[/x] [red]a[/red] [link=http://evil]b[/link]"

    @dataclass(frozen=True)
    class Result(StageResult):
        def lines(self) -> Iterator[Any]:
            yield words
            yield make_table([words], [[words]], title=words)

    _show(Result(), as_json=False)
    printed = capsys.readouterr().out
    assert printed.count(words) == 4
    assert "\x1b]8" not in printed


def test_cells_that_a_spreadsheet_would_run_are_defused(tmp_path: Path) -> None:
    cells = [
        "=HYPERLINK(1)",
        "+1+cmd|' /C calc'!A0",
        "-1-1",
        "@SUM(1)",
        "\tx",
        "＝1",
        "\n=1",
        "plain",
        -0.5,
        3,
        "-1",
        "+0.5",
    ]
    write_csv(tmp_path / "a.csv", [cells])
    with (tmp_path / "a.csv").open(newline="") as file:
        found = next(csv.reader(file))
    assert found[:7] == [f"'{cell}" for cell in cells[:7]]
    assert found[7:] == ["plain", "-0.5", "3", "-1", "+0.5"]

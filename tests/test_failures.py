"""Full, read-only, locked and garbled: one line, the right advice, an exit status, no traceback."""

import errno
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from gpt4image.cli import main
from gpt4image.cli.failures import explain_failure
from gpt4image.describe import Description, DescriptionStore
from gpt4image.describe.store import connect
from gpt4image.describe.store.edits import Editor
from gpt4image.describe.store.rows import DescribedImage
from gpt4image.errors import DescriptionError
from gpt4image.results import ExitStatus


@pytest.fixture
def work(tmp_path: Path) -> Path:
    with DescriptionStore.open(tmp_path / "work", create=True) as store:
        store.write_images(DescribedImage(f"{number:064x}", f"cat/{number}.jpg", "cat") for number in range(50))
        store.write(Description(f"{number:064x}", "p", "d", text=f"a text {number}") for number in range(50))
    return tmp_path / "work"


def sqlite_error(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "words", "status"),
    [
        (sqlite_error("SQLITE_IOERR_SHMSIZE"), "the disk is full; make room, and the same", 4),
        (sqlite_error("SQLITE_IOERR_SHORT_READ"), "is damaged .*; put a copy of it in its place", 2),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "the disk is full; make room, and the same", 4),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full; make room", 4),
        (RuntimeError("[enforce fail] . PytorchStreamWriter failed: file write failed"), "the disk is full", 4),
        (OSError(errno.EROFS, "Read-only file system", "a.csv"), "a.csv cannot be written; make it writable, or", 2),
        (sqlite3.OperationalError("attempt to write a readonly database"), "cannot be written; make it writable", 2),
        (
            sqlite3.OperationalError("database is locked"),
            "is locked by another program .*; close that, and the same",
            4,
        ),
        (sqlite3.DatabaseError("database disk image is malformed"), "is damaged .*; put a copy of it in its place", 2),
    ],
)
def test_what_the_machine_refuses_is_said_with_advice(error: Exception, words: str, status: ExitStatus) -> None:
    wrapped = ValueError("somewhere")
    wrapped.__cause__ = error
    for one in (error, wrapped):
        explained = explain_failure(one)
        assert explained is not None
        assert (explained[1], "\n" in explained[0]) == (status, False)
        assert re.search(words, explained[0])
    assert explain_failure(KeyError("a mistake of ours")) is None


def test_a_full_disk_stops_a_command_with_one_line(work: Path, tmp_path: Path) -> None:
    limited = f"ulimit -f 100; exec {sys.executable} -m gpt4image.cli describe-export {work} {tmp_path / 'out.jsonl'}"
    with DescriptionStore.open(work) as store:
        store.write(Description(f"{number:064x}", "q", "d", text="long " * 1000) for number in range(50))
    told = subprocess.run(["bash", "-c", limited], capture_output=True, text=True)
    assert (told.returncode, told.stderr.count("\n")) == (4, 1)
    assert "the disk is full; make room, and the same command goes on from there" in told.stderr
    assert list(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_where_a_folder_shall_be_is_one_line(work: Path, tmp_path: Path, capsys, name: str) -> None:
    photos, captions = tmp_path / "photos", tmp_path / "c.csv"
    photos.mkdir()
    Image.new("RGB", (8, 8)).save(photos / "0.png")
    (tmp_path / "file").write_text("")
    captions.write_text("path,description\n0.png,a text\n")
    words = ["describe", str(photos), str(tmp_path / name), "--describer", "replay", "--file", str(captions)]
    assert main(words) == 2
    assert "is in the way" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("folder.csv", "folder.csv is a folder; name a file"),
        ("/proc/out.csv", "/proc/out.csv cannot be"),
        ("/proc/out.parquet", "/proc/out.parquet cannot be"),
    ],
)
def test_an_output_that_cannot_be_written_is_named(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, words: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert main(["describe-export", str(work), str(tmp_path / out)]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert ".tmp" not in told


def test_a_locked_store_says_so(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = sqlite3.connect
    monkeypatch.setattr(connect.sqlite3, "connect", lambda path, **how: usual(path, **how | {"timeout": 0.1}))
    Image.new("RGB", (8, 8)).save(work.parent / "a.png")
    (work.parent / "list.csv").write_text("path,text\na.png,x\n")
    with closing(usual(work / "descriptions.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        status = main(
            ["describe", str(work.parent / "list.csv"), str(work), "--describer", "replay", "--file",
             str(work.parent / "list.csv"), "--field", "text"]
        )  # fmt: skip
    assert status == 4
    assert "is locked by another program (database is locked); close that" in capsys.readouterr().err


@pytest.mark.parametrize("place", [0, 100, 8192])
def test_a_garbled_store_is_named(work: Path, capsys: pytest.CaptureFixture[str], place: int) -> None:
    path = work / "descriptions.sqlite"
    data = bytearray(path.read_bytes())
    data[place : place + 3000] = b"\xff" * 3000
    data[8192:] = b"\xff" * len(data[8192:])
    path.write_bytes(data)
    assert main(["describe-export", str(work), str(work.parent / "out.jsonl"), "--all-states"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "put a copy of it in its place" in told[0]


def test_an_unknown_state_in_a_store_is_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(work / "descriptions.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE descriptions SET state = 'oj' WHERE digest LIKE '%1'")
    assert main(["describe-export", str(work), str(work.parent / "out.jsonl"), "--all-states"]) == 2
    assert "has the state 'oj', which is none; the store is damaged: put" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("state", "oj", "the state 'oj', which is none"), ("text", None, "no text"), ("tokens_in", "x", "tokens_in")],
)
def test_what_cannot_stand_in_a_row_is_one_line_and_never_left_uncounted(
    work: Path, column: str, value: object, words: str
) -> None:
    with closing(sqlite3.connect(work / "descriptions.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = REPLACE(sql, ' NOT NULL', '')")
    with closing(sqlite3.connect(work / "descriptions.sqlite", isolation_level=None)) as connection:
        connection.execute(f"UPDATE descriptions SET {column} = ? WHERE digest LIKE '%1'", (value,))
    with DescriptionStore.open(work) as store:
        with pytest.raises(DescriptionError, match=f"has .*{words}.*; the store is damaged: put a copy of it"):
            list(store.descriptions())
        if column == "state":
            with pytest.raises(DescriptionError, match="is damaged"):
                store.counts()


def test_a_read_only_store_can_be_looked_at_and_stays_as_it_is(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root may write what nobody else may: here the system's answer is changed, not the system."""
    monkeypatch.setattr(connect.os, "access", lambda path, mode: mode != os.W_OK)
    before = {path.name: path.read_bytes() for path in work.iterdir()}
    assert main(["describe-export", str(work), str(tmp_path / "a.jsonl")]) == 0
    assert main(["lint", str(work)]) == 0
    assert main(["gallery", str(work), "--out", str(tmp_path / "gallery")]) == 0
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 50
    assert {path.name: path.read_bytes() for path in work.iterdir()} == before
    capsys.readouterr()
    assert main(["lint", str(work), "--undo", "strip"]) == 2
    assert "descriptions.sqlite cannot be written; make it writable, or change a copy" in capsys.readouterr().err
    with DescriptionStore.open(work) as store, pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.write([Description("a", "p", "d")])
    (work / "descriptions.sqlite-wal").write_bytes(b"not closed")
    capsys.readouterr()
    assert main(["lint", str(work)]) == 2
    assert "was not closed and cannot be written; copy descriptions.sqlite and" in capsys.readouterr().err


def test_undoing_a_requeue_keeps_the_text_that_was_paid_for_again(work: Path) -> None:
    with DescriptionStore.open(work) as store:
        old = next(store.descriptions())
    editor = Editor(work)
    editor.requeue(old.name)
    with DescriptionStore.open(work) as store:
        store.write([replace(old, text="asked again", tokens_out=7)])
    assert editor.undo(old.digest)
    with DescriptionStore.open(work) as store:
        found = {row.sample: row.text for row in store.descriptions() if row.digest == old.digest}
    assert found == {0: old.text, 1: "asked again"}

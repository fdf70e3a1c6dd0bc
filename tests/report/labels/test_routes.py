"""The page *Labels* over the wire: the same locks as the gallery, and nothing absurd is taken."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from gpt4image.images import open_images
from gpt4image.label.answers import read_answers
from gpt4image.label.artifact import LabelTable
from gpt4image.report.gallery.data import GalleryData
from gpt4image.report.gallery.entries import read_entries
from gpt4image.report.gallery.server import MAX_BODY_BYTES, GalleryServer
from gpt4image.report.labels.queue import ReviewQueue
from gpt4image.report.pictures import index_pictures


@pytest.fixture
def server(table: LabelTable, tmp_path: Path) -> Iterator[GalleryServer]:
    """A work folder with labels and no descriptions."""
    work, pictures = tmp_path / "work", index_pictures(open_images(str(tmp_path / "photos")))
    data = GalleryData(read_entries(work, table=table), frozenset(pictures.index), "work", reviewed=True)
    with GalleryServer(data, pictures, None, "127.0.0.1", 0, ReviewQueue(work, table)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: GalleryServer, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    port = server.server_port
    known = {
        "Host": f"127.0.0.1:{port}",
        "Cookie": f"gpt4image_gallery_{port}={server.token}; gpt4image_who={quote('Zoë (she)')}",
        "Origin": f"http://127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {**known, **(headers or {})}.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    answer = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return answer


def first(server: GalleryServer) -> dict[str, Any]:
    return json.loads(ask(server, "GET", "/labels/next?after=-1&count=1&page=a")[2])["images"][0]


def say(server: GalleryServer, headers: dict[str, str] | None = None, path: str = "/labels/answer", **changes: Any):
    request = {"digest": first(server)["digest"], "class": "bee", "who": "Zoë", "seen": None, **changes}
    return ask(server, "POST", path, headers, json.dumps(request).encode())


def test_page_facts_large_picture_and_download(server: GalleryServer) -> None:
    status, headers, page = ask(server, "GET", "/labels")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert server.token.encode() not in page
    assert b'href="labels"' in ask(server, "GET", "/")[2]
    facts = json.loads(ask(server, "GET", "/labels/facts?who=ada")[2])
    assert (len(facts["classes"]), facts["progress"]["total"], facts["recent"]) == (12, 6, [])
    digest = first(server)["digest"]
    status, headers, image = ask(server, "GET", f"/images/{digest[:2]}/{digest[2:]}.jpg")
    assert (status, headers["Content-Type"], image[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert ask(server, "GET", "/labels/answers.jsonl")[2] == b""
    assert say(server)[0] == 200
    status, headers, lines = ask(server, "GET", "/labels/answers.jsonl")
    assert "attachment" in headers["Content-Disposition"]
    assert [(row["class_name"], row["who"]) for row in map(json.loads, lines.splitlines())] == [("bee", "Zoë")]


def test_an_answer_is_on_disk_when_it_is_confirmed(server: GalleryServer, tmp_path: Path) -> None:
    digest = first(server)["digest"]
    status, _, body = say(server)
    assert (status, json.loads(body)["image"]["answer"]["class"]) == (200, "bee")
    assert read_answers(tmp_path / "work")[digest].class_name == "bee"
    status, _, body = say(server, digest=digest, **{"class": "cat"})
    assert (status, json.loads(body)["image"]["answer"]["class"]) == (409, "bee")
    seen = json.loads(body)["image"]["answer"]
    assert say(server, None, "/labels/undo", digest=digest, seen=None)[0] == 409
    status, _, body = say(server, None, "/labels/undo", digest=digest, seen=seen)
    assert (status, json.loads(body)["image"]["answer"]) == (200, None)
    assert read_answers(tmp_path / "work") == {}


@pytest.mark.parametrize(
    "path", ["/labels", "/labels/facts?who=a", "/labels/next?after=-1&count=1", "/labels/answers.jsonl"]
)
def test_without_the_token_or_under_another_name_there_is_nothing(server: GalleryServer, path: str) -> None:
    for headers in ({"Cookie": ""}, {"Host": "evil.example"}, {"Host": f"evil.example:{server.server_port}"}):
        status, _, body = ask(server, "GET", path, headers)
        assert status == 403
        assert b"koi" not in body


def test_foreign_pages_answer_nothing(server: GalleryServer, tmp_path: Path) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": ""}, {"Cookie": ""}, {"Host": "evil.example"}):
        digest = first(server)["digest"]
        body = json.dumps({"digest": digest, "class": "bee", "who": "eve", "seen": None}).encode()
        assert ask(server, "POST", "/labels/answer", headers, body)[0] == 403
    assert say(server, {"Content-Type": "text/plain"})[0] == 404
    assert not (tmp_path / "work" / "labels" / "answers.jsonl").exists()


def test_absurd_requests_are_refused_with_a_reason(server: GalleryServer, tmp_path: Path) -> None:
    for changes, words in (
        ({"class": "zebu"}, "there is no such class"),
        ({"class": "x" * 50_000}, "there is no such class"),
        ({"digest": "../../secret"}, "there is no such image"),
        ({"digest": "f" * 50_000}, "there is no such image"),
        ({"who": "x" * 81}, "who answers must be a name of 1 to 80 letters"),
    ):
        status, _, body = say(server, None, **changes)
        assert status == 400
        assert words in json.loads(body)["error"]
    for body in (b"[]", b"{", b"{}", b"\xff", b"null", b"[" * 60_000):
        assert ask(server, "POST", "/labels/answer", None, body)[0] == 400
    for query in (
        "next?after=-1&count=51&page=a",
        "next?after=-2&count=1&page=a",
        "next?after=" + "9" * 5000 + "&count=1&page=a",
        "next?after=x&count=1&page=a",
        "next?after=0&count=1&page=" + "a" * 5000,
        "facts?who=" + "a" * 5000,
        "image?digest=" + "f" * 64,
    ):
        assert ask(server, "GET", f"/labels/{query}")[0] == 400, query
    assert say(server, {"Content-Length": str(MAX_BODY_BYTES + 1)})[0] == 413
    assert say(server, {"Content-Length": "9" * 5000})[0] == 400
    for path in ("/labels/../answers.jsonl", "/labels/default/labels.parquet", "/images/../photos/000.png", "/labels/"):
        assert ask(server, "GET", path)[0] == 404
    assert ask(server, "POST", "/labels/next", None, b"{}")[0] == 404
    assert not (tmp_path / "work" / "labels" / "answers.jsonl").exists()
    assert first(server)["answer"] is None


def test_without_labels_there_is_no_such_page(server: GalleryServer) -> None:
    server.labels = None
    for path in ("/labels", "/labels/next?after=-1&count=1&page=a"):
        assert ask(server, "GET", path)[0] == 404
    assert ask(server, "POST", "/labels/answer", None, b"{}")[0] == 404

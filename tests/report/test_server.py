"""The gallery's server refuses everybody but its own page. Requests are written by hand, as an attacker would."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from gpt4image.describe.store.edits import Editor
from gpt4image.describe.store.rows import DescribedImage, Description
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import SettingsError
from gpt4image.images import open_images
from gpt4image.report.gallery.data import GalleryData
from gpt4image.report.gallery.entries import read_entries
from gpt4image.report.gallery.server import MAX_BODY_BYTES, MOST_CONNECTIONS, GalleryServer
from gpt4image.report.pictures import index_pictures


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GalleryServer]:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 48), "red").save(tmp_path / "photos" / "red.png")
    (tmp_path / "secret.png").write_bytes((tmp_path / "photos" / "red.png").read_bytes())
    pictures = index_pictures(open_images(str(tmp_path / "photos")))
    with DescriptionStore.open(tmp_path / "work", create=True) as store:
        store.write_images(DescribedImage(digest, "red.png", None) for digest in pictures.index)
        store.write(Description(digest, "short@1", "vlm", text="Red.") for digest in pictures.index)
    data = GalleryData(read_entries(tmp_path / "work"), frozenset(pictures.index), "work", editable=True)
    with GalleryServer(data, pictures, Editor(tmp_path / "work", "ada"), "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Answer = tuple[int, dict[str, str], bytes]


def _ask(
    server: GalleryServer, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> Answer:
    """One request with a valid cookie unless another is given; a header given as empty is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    port = server.server_port
    known = {
        "Host": f"127.0.0.1:{port}",
        "Cookie": f"gpt4image_gallery_{port}={server.token}",
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


def _digest(server: GalleryServer) -> str:
    return server.data.entries[0].digest


def _reject(server: GalleryServer, headers: dict[str, str] | None = None, **changes: object) -> Answer:
    request = {"action": "reject", "digest": _digest(server), "prompt": "short@1", "describer": "vlm", "sample": 0}
    return _ask(server, "POST", "/change", headers, json.dumps({**request, **changes}).encode())


def _state(server: GalleryServer) -> State:
    return read_entries(server.editor.work)[0].descriptions[0].state


def test_token_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(server: GalleryServer) -> None:
    status, headers, _ = _ask(server, "GET", f"/?token={server.token}", {"Cookie": ""})
    assert (status, headers["Location"]) == (303, "/")
    assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
    status, headers, page = _ask(server, "GET", "/", {"Cookie": headers["Set-Cookie"].partition(";")[0]})
    assert status == 200
    assert server.token.encode() not in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_serves_page_data_and_images(server: GalleryServer) -> None:
    digest = _digest(server)
    assert b"gallery.index(" in _ask(server, "GET", "/data/index.js")[2]
    assert b"Red." in _ask(server, "GET", "/data/0.js")[2]
    status, headers, image = _ask(server, "GET", f"/thumbnails/{digest[:2]}/{digest[2:]}.jpg")
    assert (status, headers["Content-Type"], image[:2]) == (200, "image/jpeg", b"\xff\xd8")


@pytest.mark.parametrize("path", ["/", "/data/index.js", "/data/0.js", "/?token=wrong", "/?token=", "/thumbnails/x"])
@pytest.mark.parametrize("cookie", ["", "gpt4image_gallery=1", "=;;;\x01"])
def test_without_the_token_there_is_nothing(server: GalleryServer, path: str, cookie: str) -> None:
    status, _, body = _ask(server, "GET", path, {"Cookie": cookie})
    assert status == 403
    assert b"Red." not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""]
)
def test_foreign_hosts_are_refused(server: GalleryServer, host: str) -> None:
    headers = {"Host": host.format(port=server.server_port)}
    assert _ask(server, "GET", "/", headers)[0] == 403
    assert _reject(server, headers)[0] == 403
    assert _state(server) == State.OK


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "https://127.0.0.1:{port}", "http://127.0.0.1:{port}.evil.example"]
)
def test_foreign_origins_change_nothing(server: GalleryServer, origin: str) -> None:
    assert _reject(server, {"Origin": origin.format(port=server.server_port)})[0] == 403
    assert _state(server) == State.OK


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.png",
        "/thumbnails/../../secret.png",
        "/thumbnails/%2e%2e/%2e%2e/secret.png",
        "/thumbnails/..%2f..%2fsecret.png",
        "/thumbnails//etc/passwd",
        "/data/..%5c..%5csecret.png",
        "/data/../../work/descriptions.sqlite",
        "//etc/passwd",
        "file:///etc/passwd",
        "/data/0.js%00.jpg",
        "/data/99.js",
        "/thumbnails/" + "a" * 2 + "/" + "b" * 62 + ".jpg",
    ],
)
def test_no_path_leads_out(server: GalleryServer, path: str) -> None:
    status, _, body = _ask(server, "GET", path)
    assert status == 404
    assert len(body) < 200


def test_oversized_and_unmeasured_bodies_are_refused_unread(server: GalleryServer) -> None:
    assert _reject(server, {"Content-Length": str(MAX_BODY_BYTES + 1)})[0] == 413
    assert _reject(server, {"Content-Length": str(10**30)})[0] == 413
    assert _reject(server, {"Content-Length": ""})[0] == 411
    assert _reject(server, {"Content-Length": "-5"})[0] == 411
    assert _reject(server, {"Content-Length": "", "Transfer-Encoding": "chunked"})[0] == 411
    assert _state(server) == State.OK


def test_wrong_requests_are_answered_with_a_reason(server: GalleryServer) -> None:
    assert _reject(server, {"Content-Type": "text/plain"})[0] == 404
    assert _ask(server, "POST", "/other", body=b"{}")[0] == 404
    for changes, reason in (
        ({"action": "drop"}, "there is no action 'drop'"),
        ({"digest": "../x"}, "there is no such image"),
        ({"prompt": "'; DROP TABLE descriptions; --"}, "there is no description"),
        ({"action": "undo"}, "there is nothing to undo"),
        ({"action": "edit", "text": " "}, "an empty text"),
    ):
        status, _, body = _reject(server, None, **changes)
        assert status == 400
        assert reason in json.loads(body)["error"]
    assert _ask(server, "POST", "/change", body=b"[]")[0] == 400
    assert _ask(server, "POST", "/change", body=b"{")[0] == 400
    assert _ask(server, "PUT", "/change")[0] == 501
    assert _state(server) == State.OK


def test_a_change_is_in_the_store_and_in_the_answer(server: GalleryServer) -> None:
    status, _, body = _reject(server)
    answer = json.loads(body)
    assert status == 200
    assert answer["states"][answer["entry"][4][0][3]] == "rejected"
    assert _state(server) == State.REJECTED
    assert _reject(server, None, action="undo")[0] == 200
    assert _state(server) == State.OK


def test_garbage_does_not_stop_the_server(server: GalleryServer) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01\x00\r\n\r\n")
        connection.recv(1000)
    assert _ask(server, "GET", "/data/index.js")[0] == 200


def test_listens_on_loopback_only(server: GalleryServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(SettingsError, match=r"--host 127\.0\.0\.1 --port \d+ cannot be used"):
        GalleryServer(server.data, None, server.editor, "127.0.0.1", server.server_port)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"[" * 50_000),
        ({}, b'{"a":' * 10_000),
        ({}, b"[]"),
        ({}, b'{"digest": "x", "action": NaN}'),
        ({"Content-Length": "9" * 5000}, b""),
    ],
)
def test_absurd_requests_are_answered_with_400_and_the_server_goes_on(
    server: GalleryServer, headers: dict[str, str], body: bytes
) -> None:
    status, _, told = _ask(server, "POST", "/change", headers, body)
    assert (status, "error" in json.loads(told)) == (400, True)
    assert _ask(server, "GET", "/")[0] == 200


def test_numbers_beyond_the_store_are_a_bad_request(server: GalleryServer) -> None:
    assert _reject(server, sample=1 << 80)[0] == 400


def test_beyond_its_threads_the_server_closes_connections(server: GalleryServer) -> None:
    waiting = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(MOST_CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as beyond:
        assert beyond.recv(1) == b""
    for connection in waiting:
        connection.close()
    for _ in range(100):
        try:
            assert _ask(server, "GET", "/")[0] == 200
            return
        except (http.client.HTTPException, OSError):
            time.sleep(0.05)
    raise AssertionError("the places were not given back")

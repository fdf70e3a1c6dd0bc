"""The gallery's server: loopback, a token, images by digest only; takes edits from the page it serves."""

import hmac
import json
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gpt4image.describe.store.edits import Editor
from gpt4image.describe.store.rows import Name
from gpt4image.errors import DescriptionError, LabelError, SettingsError
from gpt4image.report.gallery.data import GalleryData
from gpt4image.report.gallery.entries import read_entry
from gpt4image.report.gallery.pages import QUALITY, SIDE, render_page
from gpt4image.report.labels.queue import ReviewQueue
from gpt4image.report.labels.routes import CHANGES, Reply, reply_to_change, reply_to_get, reply_with
from gpt4image.report.pictures import Pictures

MAX_BODY_BYTES = 64 * 1024
LARGE_SIDE, LARGE_QUALITY = 1024, 88
"""Of the one image that a person names: longer side in pixels, quality as a JPEG file."""
MOST_CONNECTIONS = 64
"""A browser opens six to one server."""
LONGEST_NUMBER = 300
COOKIE = "gpt4image_gallery"
POLICY = (
    "default-src 'none'; img-src 'self' data:; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class GalleryServer(ThreadingHTTPServer):
    """Serves one store.

    Args:
        data: the entries.
        pictures: the images, if they are there.
        editor: takes the changes of texts; None if there are none.
        host: address to listen on.
        port: 0 takes a free one.
        labels: whose answers are asked for, if there are labels.

    Raises:
        SettingsError: the address cannot be used.
    """

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(
        self,
        data: GalleryData,
        pictures: Pictures | None,
        editor: Editor | None,
        host: str,
        port: int,
        labels: ReviewQueue | None = None,
    ) -> None:
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"--host {host} --port {port} cannot be used ({error}); choose another port") from error
        self.data, self.pictures, self.editor, self.labels = data, pictures, editor, labels
        self._places = BoundedSemaphore(MOST_CONNECTIONS)
        self.token, self.lock = secrets.token_urlsafe(24), Lock()
        names = {host, "127.0.0.1", "localhost", "[::1]"} if host in ("127.0.0.1", "localhost", "::1") else {host}
        self.hosts = {f"{name}:{self.server_port}" for name in names}

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread a connection; beyond the limit a connection is closed at once."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        host = str(self.server_address[0])
        return f"http://{host}:{self.server_port}/?token={self.token}"

    def change(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carries out one change and returns the entry as it is then.

        Raises:
            DescriptionError: it cannot be done.
        """
        digest = str(request["digest"])
        if digest not in self.data.position or self.editor is None:
            raise DescriptionError("there is no such image")
        with self.lock:
            _carry_out(self.editor, request, digest)
            self.data.update(read_entry(self.editor.work, self.data.entries[self.data.position[digest]]))
            return self.data.entry_json(digest)


def _carry_out(editor: Editor, request: dict[str, Any], digest: str) -> None:
    if request["action"] == "undo":
        if not editor.undo(digest):
            raise DescriptionError("there is nothing to undo")
        return
    name = Name(digest, str(request["prompt"]), str(request["describer"]), int(request["sample"]))
    match request["action"]:
        case "edit":
            editor.edit(name, str(request["text"]))
        case "reject":
            editor.reject(name)
        case "requeue":
            editor.requeue(name)
        case other:
            raise DescriptionError(f"there is no action {other!r}")


class _RefusedError(Exception):
    """Why a request is not carried out, and the status that says so."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: GalleryServer
    server_version, sys_version = "gpt4image", ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self.close_connection = True
        self._answer(self._change)

    def _answer(self, find: Callable[[], Reply]) -> None:
        try:
            # Another name that points here is how a foreign page gets around the same-origin rule.
            if self.headers.get("Host", "").lower() not in self.server.hosts:
                raise _RefusedError(HTTPStatus.FORBIDDEN, "this host name is not served")
            reply = find()
        except RecursionError:
            reply = self._refuse(HTTPStatus.BAD_REQUEST, "the JSON is too deep")
        except _RefusedError as error:
            reply = self._refuse(error.status, str(error))
        except (DescriptionError, LabelError, ValueError, KeyError, TypeError, OverflowError) as error:
            reply = self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        self._send(reply)

    def _check_cookie(self) -> None:
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie_name())
        except CookieError:
            morsel = None
        if morsel is None or not self._is_token(morsel.value):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "open the address that gpt4image gallery printed, with its token")

    def _is_token(self, word: str) -> bool:
        return hmac.compare_digest(word.encode(), self.server.token.encode())

    def _cookie_name(self) -> str:
        return f"{COOKIE}_{self.server.server_port}"

    def _exchange_token(self, token: str) -> Reply:
        """The token moves from the address into a cookie, where no link, log or screenshot shows it."""
        if not self._is_token(token):
            reason = "the token is wrong; open the address that gpt4image gallery printed"
            raise _RefusedError(HTTPStatus.FORBIDDEN, reason)
        cookie = f"{self._cookie_name()}={token}; HttpOnly; SameSite=Strict; Path=/"
        return Reply(HTTPStatus.SEE_OTHER, "text/plain", b"", {"Location": "/", "Set-Cookie": cookie})

    def _get(self) -> Reply:
        address, data, labels = urlsplit(self.path), self.server.data, self.server.labels
        path, query = address.path, parse_qs(address.query)
        if path == "/" and "token" in query:
            return self._exchange_token(query["token"][0])
        self._check_cookie()
        part = re.fullmatch(r"/data/(\d{1,7})\.js", path)
        picture = re.fullmatch(r"/(thumbnails|images)/([0-9a-f]{2})/([0-9a-f]{62})\.jpg", path)
        if path == "/":
            return Reply(HTTPStatus.OK, "text/html; charset=utf-8", render_page(data).encode(), {})
        if path == "/data/index.js":
            return Reply(HTTPStatus.OK, "text/javascript; charset=utf-8", data.index_script().encode(), {})
        if part and int(part[1]) < data.num_parts():
            return Reply(HTTPStatus.OK, "text/javascript; charset=utf-8", data.part_script(int(part[1])).encode(), {})
        if picture and self.server.pictures is not None:
            size = (LARGE_SIDE, LARGE_QUALITY) if picture[1] == "images" else (SIDE, QUALITY)
            encoded = self.server.pictures.jpeg(picture[2] + picture[3], *size)
            if encoded is None:
                raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such image")
            return Reply(HTTPStatus.OK, "image/jpeg", encoded, {"Cache-Control": "private, max-age=86400"})
        reply = None if labels is None else reply_to_get(labels, data.title, path, query)
        if reply is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        return reply

    def _change(self) -> Reply:
        if self.headers.get("Origin", "") not in {f"http://{host}" for host in self.server.hosts}:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "changes come from the gallery's own page only")
        self._check_cookie()
        labels = self.server.labels if self.path in CHANGES else None
        if (self.path != "/change" and labels is None) or self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        request = json.loads(self._read_body())
        return (
            reply_with(self.server.change(request)) if labels is None else reply_to_change(labels, self.path, request)
        )

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if re.fullmatch(r"[0-9]+", length) is None:
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "the length of the body is missing")
        if len(length) > LONGEST_NUMBER:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the length of the body is no number of bytes")
        if int(length) > MAX_BODY_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes are taken")
        return self.rfile.read(int(length))

    def _refuse(self, status: HTTPStatus, reason: str) -> Reply:
        self.close_connection = True
        return Reply(status, "application/json", json.dumps({"error": reason}).encode(), {"Connection": "close"})

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        fixed = {
            "Content-Type": reply.kind,
            "Content-Length": str(len(reply.body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in (fixed | dict(reply.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the address with the token must not end up in a log."""

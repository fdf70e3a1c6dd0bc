"""The gallery's server: loopback, a token, images by digest only; takes edits from the page it serves."""

import hmac
import json
import re
import secrets
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from gpt4image.describe.store.edits import Editor
from gpt4image.describe.store.rows import Name
from gpt4image.errors import DescriptionError, LabelError, SettingsError
from gpt4image.report.gallery.data import GalleryData
from gpt4image.report.gallery.entries import read_entry
from gpt4image.report.gallery.pages import QUALITY, SIDE, render_page
from gpt4image.report.labels.queue import ReviewQueue
from gpt4image.report.labels.routes import CHANGES, Reply, reply_to_change, reply_to_get
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


class _Handler(BaseHTTPRequestHandler):
    server: GalleryServer
    server_version, sys_version = "gpt4image", ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if not self._host_is_ours():
            return
        if address.path == "/" and "token" in parse_qs(address.query):
            self._exchange_token(parse_qs(address.query)["token"][0])
        elif self._is_known():
            self._get(address.path, address.query)

    def do_POST(self) -> None:
        self.close_connection = True
        if not self._host_is_ours() or not self._origin_is_ours() or not self._is_known():
            return
        labels = CHANGES if self.server.labels else ()
        if self.path not in ("/change", *labels) or self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return
        body = self._read_body()
        if body is not None:
            self._change(body)

    def _host_is_ours(self) -> bool:
        """Another name that points here is how a foreign page gets around the same-origin rule."""
        known = self.headers.get("Host", "").lower() in self.server.hosts
        return known or self._refuse(HTTPStatus.FORBIDDEN, "this host name is not served")

    def _origin_is_ours(self) -> bool:
        known = self.headers.get("Origin", "") in {f"http://{host}" for host in self.server.hosts}
        return known or self._refuse(HTTPStatus.FORBIDDEN, "changes come from the gallery's own page only")

    def _is_known(self) -> bool:
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie_name())
        except CookieError:
            morsel = None
        known = morsel is not None and self._is_token(morsel.value)
        return known or self._refuse(
            HTTPStatus.FORBIDDEN, "open the address that gpt4image gallery printed, with its token"
        )

    def _is_token(self, word: str) -> bool:
        return hmac.compare_digest(word.encode(), self.server.token.encode())

    def _cookie_name(self) -> str:
        return f"{COOKIE}_{self.server.server_port}"

    def _exchange_token(self, token: str) -> None:
        """The token moves from the address into a cookie, where no link, log or screenshot shows it."""
        if not self._is_token(token):
            self._refuse(HTTPStatus.FORBIDDEN, "the token is wrong; open the address that gpt4image gallery printed")
            return
        cookie = f"{self._cookie_name()}={token}; HttpOnly; SameSite=Strict; Path=/"
        self._send(HTTPStatus.SEE_OTHER, "text/plain", b"", {"Location": "/", "Set-Cookie": cookie})

    def _get(self, path: str, query: str) -> None:
        data = self.server.data
        part = re.fullmatch(r"/data/(\d{1,7})\.js", path)
        picture = re.fullmatch(r"/(thumbnails|images)/([0-9a-f]{2})/([0-9a-f]{62})\.jpg", path)
        if path == "/":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", render_page(data).encode())
        elif path == "/data/index.js":
            self._send(HTTPStatus.OK, "text/javascript; charset=utf-8", data.index_script().encode())
        elif part and int(part[1]) < data.num_parts():
            self._send(HTTPStatus.OK, "text/javascript; charset=utf-8", data.part_script(int(part[1])).encode())
        elif picture and self.server.pictures is not None:
            self._send_picture(picture[2] + picture[3], large=picture[1] == "images")
        elif self.server.labels is None or not self._get_label(self.server.labels, path, query):
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _get_label(self, labels: ReviewQueue, path: str, query: str) -> bool:
        """Whether there was something to say, if only why not."""
        try:
            reply = reply_to_get(labels, self.server.data.title, path, parse_qs(query))
        except (LabelError, ValueError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return True
        if reply is not None:
            self._send_reply(reply)
        return reply is not None

    def _send_picture(self, digest: str, large: bool) -> None:
        assert self.server.pictures is not None
        encoded = self.server.pictures.jpeg(digest, *((LARGE_SIDE, LARGE_QUALITY) if large else (SIDE, QUALITY)))
        if encoded is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such image")
        else:
            self._send(HTTPStatus.OK, "image/jpeg", encoded, {"Cache-Control": "private, max-age=86400"})

    def _read_body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if re.fullmatch(r"[0-9]+", length) is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the length of the body is missing")
        elif len(length) > LONGEST_NUMBER:
            self._refuse(HTTPStatus.BAD_REQUEST, "the length of the body is no number of bytes")
        elif int(length) > MAX_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes are taken")
        else:
            return self.rfile.read(int(length))
        return None

    def _change(self, body: bytes) -> None:
        labels = self.server.labels
        try:
            request = json.loads(body)
            if self.path in CHANGES and labels is not None:
                self._send_reply(reply_to_change(labels, self.path, request))
                return
            answer = self.server.change(request)
        except (DescriptionError, LabelError, ValueError, KeyError, TypeError, OverflowError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except RecursionError:
            self._refuse(HTTPStatus.BAD_REQUEST, "the JSON is too deep")
        else:
            self._send(HTTPStatus.OK, "application/json", json.dumps(answer).encode())

    def _send_reply(self, reply: Reply) -> None:
        self._send(reply.status, reply.kind, reply.body, dict(reply.headers))

    def _refuse(self, status: HTTPStatus, reason: str) -> Literal[False]:
        self._send(status, "application/json", json.dumps({"error": reason}).encode(), {"Connection": "close"})
        self.close_connection = True
        return False

    def _send(self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        fixed = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in (fixed | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the address with the token must not end up in a log."""

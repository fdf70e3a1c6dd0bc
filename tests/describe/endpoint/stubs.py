"""A chat server on loopback that answers as a test says, and remembers what it was asked."""

import base64
import hashlib
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

TEXT = "A grey thing with pattern {} on a plain ground."
USAGE = {"prompt_tokens": 200, "completion_tokens": 20, "total_tokens": 220}


@dataclass(frozen=True)
class Asked:
    """One request: its number from 1, path, headers in lower case, body, digest and length of the picture."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    picture: str
    picture_bytes: int
    words: str

    @property
    def text(self) -> str:
        return TEXT.format(self.picture)


@dataclass(frozen=True)
class Answer:
    """What comes back: a mapping is sent as JSON, bytes and texts as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_a_byte: float = 0.0
    cut_at: int | None = None
    """So many bytes of the body are sent, then the connection is closed; 0 sends no headers either."""

    @property
    def payload(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def completion(content: Any, finish: Any = "stop", usage: Any = USAGE, message: Mapping = {}, **fields: Any) -> Answer:
    """A chat completion; `usage="none"` leaves the usage out."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content} | dict(message), "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]} | fields
    return Answer(body if usage == "none" else body | {"usage": usage})


def failure(status: int, message: str, headers: Mapping[str, str] = {}, seconds: float = 0.0, **fields: Any) -> Answer:
    return Answer({"error": {"message": message} | fields}, status, headers, seconds)


def is_plain(asked: Asked) -> bool:
    """Whether the picture has one colour: the good picture, which is shown when real ones fail."""
    url = asked.body["messages"][0]["content"][0]["image_url"]["url"]
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        low, high = image.convert("L").getextrema()
    return high - low < 8


Respond = Callable[[Asked], Answer]


@dataclass
class Stub:
    """A running server."""

    port: int
    asked: list[Asked] = field(default_factory=list)
    scheme: str = "http"
    host: str = "127.0.0.1"

    @property
    def root(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"


class _ServerOfIPv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextmanager
def serve(respond: Respond, certificate: tuple[str, str] | None = None, host: str = "127.0.0.1") -> Iterator[Stub]:
    """A server while the block runs; `certificate` is (certificate file, key file)."""
    kind = _ServerOfIPv6 if ":" in host else ThreadingHTTPServer
    server = kind((host, 0), _make_handler(respond, stub := Stub(0, host=f"[{host}]" if ":" in host else host)))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]
    stub.port = server.server_address[1]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        stub.scheme = "https"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()


def _make_handler(respond: Respond, stub: Stub) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            picture, words = (body["messages"][0]["content"][n] for n in (0, 1))
            url = picture["image_url"]["url"]
            with lock:
                asked = Asked(
                    number=len(stub.asked) + 1,
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=body,
                    picture=hashlib.sha256(url.encode()).hexdigest()[:8],
                    picture_bytes=len(url),
                    words=words["text"],
                )
                stub.asked.append(asked)
                answer = respond(asked)
            time.sleep(answer.seconds)
            payload = answer.payload[: answer.cut_at]
            self.close_connection = self.close_connection or answer.cut_at is not None
            if answer.cut_at == 0:
                return
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.payload)))
            self.end_headers()
            if not answer.seconds_a_byte:
                self.wfile.write(payload)
                return
            for byte in payload:
                self.wfile.write(bytes([byte]))
                time.sleep(answer.seconds_a_byte)

    return Handler

"""A chat endpoint on loopback whose answers a test writes, request by request."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

Answer = Callable[[str, dict[str, Any]], str | tuple[str, str]]
"""From the words of the request and its body to the content, or content and finish reason."""


class AnsweringServer:
    """Attributes: `url`, and `bodies` of the requests that were answered."""

    def __init__(self, answer: Answer, refuses_schemas: bool = False) -> None:
        self.answer, self.bodies = answer, list[dict[str, Any]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if refuses_schemas and "response_format" in body:
                    self._send(400, {"error": {"message": "json_schema is not supported by this model"}})
                else:
                    self._send(200, outer.complete(body))

            def _send(self, status: int, value: dict[str, Any]) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The chat completion that a request gets."""
        self.bodies.append(body)
        answered = self.answer(words_of(body), body)
        content, finish = answered if isinstance(answered, tuple) else (answered, "stop")
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
        return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def words_of(body: dict[str, Any]) -> str:
    """The words of a request."""
    return body["messages"][-1]["content"][1]["text"]

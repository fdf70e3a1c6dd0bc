"""An OpenAI-compatible chat server on loopback that misbehaves on request. It runs as a process of its own.

    python benchmarks/describe_server.py --latency-s 0.25 --faults 429=0.05 500=0.03 hang=0.01

prints its URL on the first line. Passing faults (429, 500, hang, cut) are drawn for every request, lasting
ones (empty, reasoning_only, refused, truncated, bad_request) for every image. `GET /counts` tells what happened.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections import Counter

from aiohttp import web

PASSING = ("429", "500", "hang", "cut")
LASTING = ("empty", "reasoning_only", "refused", "truncated", "bad_request")
TOKENS_PER_IMAGE = 85


class Server:
    """One endpoint with its faults and its counters."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.latency_s, self.max_in_flight = arguments.latency_s, arguments.max_in_flight
        self.retry_after_s = arguments.retry_after_s
        self.thinking_can_be_off = arguments.thinking_can_be_off
        self.refuses_fields = arguments.refuses_fields
        self.faults = {name: float(share) for name, share in (fault.split("=") for fault in arguments.faults)}
        self.random = random.Random(arguments.seed)
        self.in_flight = self.peak_in_flight = 0
        self.statuses: Counter[str] = Counter()
        self.completions: Counter[str] = Counter()
        self.last_request: dict = {}
        self.first_s = self.last_s = 0.0

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.first_s = self.first_s or time.monotonic()
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1
            self.last_s = time.monotonic()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.last_request = {"body": body, "headers": dict(request.headers)}
        refused = [name for name in self.refuses_fields if name in body]
        if refused:
            return self._error("400", 400, f"Unrecognized request argument supplied: {refused[0]}")
        if self.max_in_flight and self.in_flight > self.max_in_flight:
            return self._error("429", 429, "too many requests", {"Retry-After": str(self.retry_after_s)})
        fault = self._draw(self.random.random(), PASSING)
        if fault == "429":
            return self._error("429", 429, "slow down", {"Retry-After": str(self.retry_after_s)})
        if fault == "hang":
            self.statuses["hang"] += 1
            await asyncio.sleep(3600)
        await asyncio.sleep(self.latency_s)
        if fault == "500":
            return self._error("500", 500, "internal error")
        return await self._complete(request, body, cut=fault == "cut")

    def _draw(self, number: float, names: tuple[str, ...]) -> str | None:
        for name in names:
            number -= self.faults.get(name, 0.0)
            if number < 0:
                return name
        return None

    def _error(self, count: str, status: int, message: str, headers: dict | None = None) -> web.Response:
        self.statuses[count] += 1
        return web.json_response({"error": {"message": message}}, status=status, headers=headers)

    async def _complete(self, request: web.Request, body: dict, cut: bool) -> web.StreamResponse:
        content = body["messages"][-1]["content"]
        url = next(part["image_url"]["url"] for part in content if part["type"] == "image_url")
        text = next(part["text"] for part in content if part["type"] == "text")
        image = hashlib.sha256(url.encode()).hexdigest()
        fault = self._draw(int(image[:8], 16) / 2**32, LASTING)
        if fault == "bad_request":
            return self._error("400", 400, "image cannot be decoded")
        reply = json.dumps(self._reply(body, image, fault)).encode()
        if cut:
            return await self._cut(request, reply)
        self.statuses["200"] += 1
        self.completions[f"{image} {text} {body.get('seed', 0)}"] += 1
        return web.Response(body=reply, content_type="application/json")

    def _reply(self, body: dict, image: str, fault: str | None) -> dict:
        message = {"role": "assistant", "content": f"A thing of kind {image[:6]}, grey, on a plain background."}
        finish = "stop"
        thinking_off = body.get("chat_template_kwargs", {}).get("enable_thinking") is False
        if fault == "empty":
            message["content"] = ""
        elif fault == "reasoning_only" and not (thinking_off and self.thinking_can_be_off):
            message |= {"content": None, "reasoning_content": "Let me think about what I see."}
        elif fault == "refused":
            message["content"] = "I'm sorry, but I can't help with describing this image."
        elif fault == "truncated" and body.get("max_tokens", 0) < 400:
            finish = "length"
        usage = {"prompt_tokens": TOKENS_PER_IMAGE, "completion_tokens": 15}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": image[:12], "object": "chat.completion", "choices": [choice], "usage": usage}

    async def _cut(self, request: web.Request, reply: bytes) -> web.StreamResponse:
        self.statuses["cut"] += 1
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(reply)
        with contextlib.suppress(ConnectionResetError):
            await response.prepare(request)
            await response.write(reply[: len(reply) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    async def counts(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": sum(self.statuses.values()),
                "statuses": dict(self.statuses),
                "asked": len(self.completions),
                "asked_twice": sum(count - 1 for count in self.completions.values()),
                "peak_in_flight": self.peak_in_flight,
                "seconds": self.last_s - self.first_s,
                "last_request": self.last_request,
            }
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--max-in-flight", type=int, default=0, help="beyond this many it answers 429")
    parser.add_argument("--retry-after-s", type=float, default=0.1)
    parser.add_argument("--faults", nargs="*", default=[], metavar="NAME=SHARE", help=", ".join(PASSING + LASTING))
    parser.add_argument("--refuses-fields", nargs="*", default=[], help="request fields answered with 400")
    parser.add_argument("--thinking-can-be-off", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


async def serve(arguments: argparse.Namespace) -> None:
    server = Server(arguments)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", server.chat)
    app.router.add_get("/counts", server.counts)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", arguments.port, backlog=2048)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(parse_arguments()))

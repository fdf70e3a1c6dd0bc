"""Writes requests as files for OpenAI's Batch API and `vllm run-batch`."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from gpt4image.describe.asking.missing import Ask, Wanted
from gpt4image.describe.endpoint.client import make_messages, optional_fields
from gpt4image.describe.endpoint.payload import encode_data_url
from gpt4image.describe.exchange.batch_id import BatchKey, make_custom_id
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import UnreadableImageError
from gpt4image.images import ImageSet
from gpt4image.progress import track
from gpt4image.results import StageResult

MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000
"""OpenAI takes 50,000 requests and 200 MB a file."""
URL = "/v1/chat/completions"
ENCODED_AHEAD = 64


@dataclass(frozen=True)
class EmitResult(StageResult):
    """What was written.

    Attributes:
        requests: number of requests.
        kept: descriptions that are there already.
        files: the batch files.
        work: the work folder that takes the answers.
    """

    requests: int
    kept: int
    files: tuple[Path, ...]
    work: Path

    def lines(self) -> Iterator[Any]:
        yield f"{self.requests:,} requests in {len(self.files)} files, {self.kept:,} descriptions kept"
        yield from map(str, self.files)
        yield f"when they are answered: gpt4image describe-import {self.work} ANSWERS.jsonl"


class SplitWriter:
    """Writes lines into FILE, then FILE-2, FILE-3 ... as the limits of the services want it."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.files: list[Path] = []
        self._path, self._stack = path, stack
        self._file: IO[str] | None = None
        self._requests = self._bytes = 0

    def write(self, line: str) -> None:
        """Writes one line, into a new file if the current one is full."""
        size = len(line.encode()) + 1
        if self._file is None or self._requests == MOST_REQUESTS or self._bytes + size > MOST_BYTES:
            self._open_next()
        assert self._file is not None
        self._file.write(line + "\n")
        self._requests, self._bytes = self._requests + 1, self._bytes + size

    def _open_next(self) -> None:
        suffix = f"-{len(self.files) + 1}" if self.files else ""
        self.files.append(self._path.with_stem(self._path.stem + suffix))
        self._file = self._stack.enter_context(self.files[-1].open("w", encoding="utf-8"))
        self._requests = self._bytes = 0


def emit_batch(wanted: Wanted, store: DescriptionStore, file: Path, fields: Mapping[str, Any]) -> EmitResult:
    """Writes one request for each description that is missing.

    Args:
        wanted: what shall be described.
        store: what there is already.
        file: the first batch file.
        fields: of every request: the model and the user's own.
    """
    counted = wanted.count(store)
    with ExitStack() as stack:
        tracker = stack.enter_context(track("writing requests", counted["new"] + counted["redo"]))
        writer = SplitWriter(file, stack)
        for ask, data_url in _encoded(wanted.asks(store), wanted.images):
            key = BatchKey(ask.prompt.name, wanted.describer, ask.request.max_tokens)
            store.remember_batch(key.short, *key)
            body = {"messages": make_messages(ask.words, data_url)} | optional_fields(ask, fields)
            request = {"custom_id": make_custom_id(ask, key), "method": "POST", "url": URL, "body": body}
            writer.write(json.dumps(request, ensure_ascii=False))
            tracker.advance(1)
    return EmitResult(tracker.done, counted["kept"], tuple(writer.files), store.path.parent)


def _encoded(asks: Iterator[Ask], images: ImageSet) -> Iterator[tuple[Ask, str]]:
    """The asks with their images, encoded in threads, a bounded number ahead."""

    def encode(ask: Ask) -> str | None:
        try:
            return encode_data_url(images, ask.index, ask.request.image_size)
        except UnreadableImageError:
            return None

    with ThreadPoolExecutor() as threads:
        while batch := list(islice(asks, ENCODED_AHEAD)):
            for ask, data_url in zip(batch, threads.map(encode, batch), strict=True):
                if data_url is not None:
                    yield ask, data_url

"""Requests as files for OpenAI's Batch API and `vllm run-batch`, and the names by which answers find their images."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from gpt4image.describe.asking.missing import Ask, Wanted
from gpt4image.describe.endpoint.fields import make_messages, optional_fields
from gpt4image.describe.endpoint.payload import encode_data_url
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import UnreadableImageError
from gpt4image.images import ImageSet
from gpt4image.progress import track
from gpt4image.results import StageResult

MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000
"""OpenAI takes 50,000 requests and 200 MB a file."""
ENCODED_AHEAD = 64
DIGEST_CHARACTERS, KEY_CHARACTERS = 40, 8
CUSTOM_ID = re.compile(rf"g4i-([0-9a-f]{{{DIGEST_CHARACTERS}}})-([0-9a-f]{{{KEY_CHARACTERS}}})-(\d+)")
"""Some services allow no more than 64 characters."""


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


class BatchKey(NamedTuple):
    """What a batch request was about beside its image."""

    prompt: str
    describer: str
    max_tokens: int

    @property
    def short(self) -> str:
        """The key in eight characters."""
        return hashlib.sha256("\n".join(map(str, self)).encode()).hexdigest()[:KEY_CHARACTERS]


def parse_custom_id(custom_id: str) -> tuple[str, str, int] | None:
    """Start of the digest, short key and sample number; None if the name is not ours."""
    match = CUSTOM_ID.fullmatch(custom_id)
    return (match[1], match[2], int(match[3])) if match else None


def write_split(path: Path, lines: Iterable[str]) -> tuple[Path, ...]:
    """Writes lines into FILE, then FILE-2, FILE-3 ... as the limits of the services want it; returns the files."""
    files: list[Path] = []
    num_requests = num_bytes = 0
    with ExitStack() as stack:
        for line in lines:
            size = len(line.encode()) + 1
            if not files or num_requests == MOST_REQUESTS or num_bytes + size > MOST_BYTES:
                files.append(path.with_stem(f"{path.stem}-{len(files) + 1}") if files else path)
                file = stack.enter_context(files[-1].open("w", encoding="utf-8"))
                num_requests = num_bytes = 0
            file.write(line + "\n")
            num_requests, num_bytes = num_requests + 1, num_bytes + size
    return tuple(files)


def emit_batch(wanted: Wanted, store: DescriptionStore, file: Path, fields: Mapping[str, Any], url: str) -> EmitResult:
    """Writes one request for each description that is missing.

    Args:
        wanted: what shall be described.
        store: what there is already.
        file: the first batch file.
        fields: of every request: the model and the user's own; null leaves a field out.
        url: what a line says of where it goes.
    """
    counted = wanted.count(store)
    with track("writing requests", counted["new"] + counted["redo"]) as tracker:

        def encode(answered: tuple[Ask, str]) -> str:
            ask, data_url = answered
            key = BatchKey(ask.prompt.name, wanted.describer, ask.request.max_tokens)
            store.remember_batch(key.short, *key)
            body = {"messages": make_messages(ask.words, data_url)} | optional_fields(ask, fields)
            tracker.advance(1)
            custom_id = f"g4i-{ask.digest[:DIGEST_CHARACTERS]}-{key.short}-{ask.sample}"
            request = {"custom_id": custom_id, "method": "POST", "url": url, "body": body}
            return json.dumps(request, ensure_ascii=False)

        files = write_split(file, map(encode, _encoded(wanted.asks(store), wanted.images)))
    return EmitResult(tracker.done, counted["kept"], files, store.path.parent)


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

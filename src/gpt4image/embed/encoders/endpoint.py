"""Text embeddings from an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, a cloud service."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpt4image.describe.endpoint.privacy import check_endpoints
from gpt4image.describe.event_loop import outside_event_loops
from gpt4image.embed.encoders.encoder import Access, Precision, UnfinishedError
from gpt4image.errors import EncoderError, EndpointError, Gpt4ImageError, SettingsError, UnavailableError

if TYPE_CHECKING:
    from gpt4image.describe.endpoint.client import Endpoint
    from gpt4image.describe.endpoint.retries import RetryingClient

BATCH_SIZE, BATCHES_AT_ONCE = 64, 8
TIMEOUT_S = 180.0


class EndpointEncoder:
    """`MODEL` at the embeddings API of `URL`, reached as the endpoints that describe are.

    What an endpoint reads of a long text it does not tell; `max_tokens` is 0 and nothing counts as cut here.
    """

    max_tokens = 0
    texts_at_once = BATCH_SIZE * BATCHES_AT_ONCE

    def __init__(self, name: str, source: str, access: Access) -> None:
        self.name, self._access = name, access
        self._url, _, self._model = source.rpartition("#")
        if not self._url or not self._model:
            raise EncoderError(f"text encoder {name!r} must have the form endpoint:URL#MODEL")
        check_endpoints([self._url], access.allow_remote, sees="description")
        self.dimension = 0
        self.dimension = self.encode(["a"]).shape[1]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        found: dict[int, np.ndarray] = {}
        try:
            self._ask(texts, found)
        except (EncoderError, EndpointError, KeyboardInterrupt) as error:
            if not found:
                raise
            positions = [start + place for start, vectors in found.items() for place in range(len(vectors))]
            raise UnfinishedError(error, positions, np.concatenate(list(found.values()))) from error
        return np.concatenate([found[start] for start in sorted(found)])

    @outside_event_loops
    def _ask(self, texts: Sequence[str], found: dict[int, np.ndarray]) -> None:
        asyncio.run(self._ask_at_once(texts, found))

    async def _ask_at_once(self, texts: Sequence[str], found: dict[int, np.ndarray]) -> None:
        """Puts the vectors of each batch into `found`, by where it begins; those in flight at a failure, too."""
        from gpt4image.describe.endpoint.options import EndpointOptions
        from gpt4image.describe.endpoint.retries import RetryingClient

        access = self._access
        options = EndpointOptions(
            (self._url,),
            self._model,
            api_key_env=access.api_key_env,
            api_key_file=access.api_key_file,
            header=access.header,
            ca_file=access.ca_file,
            timeout_s=TIMEOUT_S,
            max_wait_s=access.max_wait_s,
            in_flight=BATCHES_AT_ONCE,
        )
        failures: list[Gpt4ImageError] = []
        async with aclosing(RetryingClient(options)) as client:
            # It is known from the first text on; a key may be new and a server gone since.
            client.pool.lanes[0].endpoint.connection.has_answered = bool(self.dimension)

            async def ask(start: int) -> None:
                try:
                    found[start] = await self._ask_until_answered(client, texts[start : start + BATCH_SIZE])
                except Gpt4ImageError as error:
                    failures.append(error)
                    client.end(error)

            await asyncio.gather(*map(ask, range(0, len(texts), BATCH_SIZE)))
        if failures:
            is_unavailable = isinstance(failures[0], UnavailableError | EncoderError | SettingsError)
            raise failures[0] if is_unavailable else EncoderError(f"{failures[0]} (in --encoder endpoint:URL#MODEL)")

    async def _ask_until_answered(self, client: "RetryingClient", batch: Sequence[str]) -> np.ndarray:
        from gpt4image.describe.endpoint.failures import PassingError, RefusedRequestError
        from gpt4image.describe.endpoint.pool import LaneLostError
        from gpt4image.describe.endpoint.retries import Course

        course = Course()
        while True:
            try:
                return await client.attempt(partial(self._send, batch), course, tokens=0)
            except LaneLostError:
                continue
            except RefusedRequestError as error:
                raise EncoderError(f"{self._url} refuses {len(batch)} texts: {error}; check URL and MODEL") from error
            except PassingError as error:
                if client.has_used_up(course):
                    raise UnavailableError(f"{self._url}: {error}, {course.attempts} times; try again later") from error
                await client.pause_after(error, course)

    async def _send(self, batch: Sequence[str], endpoint: "Endpoint") -> np.ndarray:
        """One request; float32 [n, D], L2-normalised.

        Raises:
            as `Endpoint.ask` does, and EncoderError if there is not one good vector for each text.
        """
        from gpt4image.describe.endpoint.failures import Told, classify

        body = {"input": list(batch), "model": self._model, "encoding_format": "float"}
        try:
            vectors = self._read(await endpoint.connection.post("/embeddings", body), len(batch))
        except Told as told:
            raise classify(self._url, told) from told
        endpoint.connection.has_answered = True
        return vectors

    def _read(self, body: bytes, number: int) -> np.ndarray:
        """float32 [n, D], L2-normalised, in the order of the texts, whatever order they come in."""
        from gpt4image.describe.endpoint.failures import Told

        entries: dict[int, Any] = {}
        with suppress(ValueError, RecursionError):
            if isinstance(answer := json.loads(body), dict) and "data" not in answer and answer.get("error"):
                raise Told(200, body.decode("utf-8", "replace"))
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            entries = {entry["index"]: entry["embedding"] for entry in json.loads(body)["data"]}
            if sorted(entries) == list(range(number)):
                vectors = np.array([entries[place] for place in range(number)], dtype=np.float32).reshape(number, -1)
                return self._normalise(vectors)
        raise EncoderError(f"{self._url} sent {len(entries)} vectors for {number} texts, or of several widths")

    def _normalise(self, vectors: np.ndarray) -> np.ndarray:
        if self.dimension and vectors.shape[1] != self.dimension:
            raise EncoderError(
                f"{self._url} sent vectors of width {vectors.shape[1]} after some of {self.dimension}; "
                "give each model a table of its own (--name)"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise EncoderError(f"{self._url} sent vectors that are zero or not finite; check the model {self._model!r}")
        return vectors / norms

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [0] * len(texts)

    def lower_precision(self, precision: Precision) -> None:
        """Not for an endpoint.

        Raises:
            EncoderError: always.
        """
        raise EncoderError(f"--precision {precision}: the precision of an endpoint is set where its server is started")

"""Text embeddings from an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, a cloud service."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from gpt4image.describe.endpoint.privacy import check_endpoints
from gpt4image.describe.event_loop import outside_event_loops
from gpt4image.embed.encoders.encoder import Access, Precision
from gpt4image.errors import EncoderError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from gpt4image.describe.endpoint.connection import Connection
    from gpt4image.describe.endpoint.failures import PassingError
    from gpt4image.describe.endpoint.waits import Waits

BATCH_SIZE, BATCHES_AT_ONCE = 64, 8
RETRIES = 5
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
        vectors = self._ask(texts)
        if self.dimension and vectors.shape[1] != self.dimension:
            raise EncoderError(
                f"{self._url} sent vectors of width {vectors.shape[1]} after some of {self.dimension}; "
                "give each model a table of its own (--name)"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise EncoderError(f"{self._url} sent vectors that are zero or not finite; check the model {self._model!r}")
        return vectors / norms

    @outside_event_loops
    def _ask(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, D], as they were sent."""
        return asyncio.run(self._ask_at_once(texts))

    async def _ask_at_once(self, texts: Sequence[str]) -> np.ndarray:
        from gpt4image.describe.endpoint.connection import Connection
        from gpt4image.describe.endpoint.keys import choose_keys
        from gpt4image.describe.endpoint.options import EndpointOptions
        from gpt4image.describe.endpoint.waits import Waits

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
        )
        connection, waits = Connection.open(self._url, options, choose_keys(options)[0]), Waits()
        places = asyncio.Semaphore(BATCHES_AT_ONCE)

        async def ask(start: int) -> np.ndarray:
            async with places:
                return await self._ask_until_answered(connection, texts[start : start + BATCH_SIZE], waits)

        try:
            return np.concatenate(await asyncio.gather(*map(ask, range(0, len(texts), BATCH_SIZE))))
        finally:
            await connection.client.close()

    async def _ask_until_answered(self, connection: "Connection", batch: Sequence[str], waits: "Waits") -> np.ndarray:
        from gpt4image.describe.endpoint.failures import PassingError, Told, classify
        from gpt4image.describe.endpoint.retries import choose_pause_s

        async def call(client: "AsyncOpenAI", headers: Mapping[str, Any]) -> Any:
            # The SDK asks for base64 unless told otherwise, which not every server knows.
            return await client.embeddings.with_raw_response.create(
                model=self._model, input=list(batch), encoding_format="float", extra_headers=headers
            )

        start_s, attempts = time.monotonic(), 0
        while True:
            attempts += 1
            try:
                vectors = self._read(await connection.send(call), len(batch))
            except Told as told:
                error = classify(self._url, told)
            except PassingError as passing:
                error = passing
            else:
                connection.has_answered = True
                return vectors
            if not isinstance(error, PassingError):
                raise EncoderError(f"{self._url}: {error}; check URL, MODEL and the API key") from error
            pause_s = choose_pause_s(attempts, error.retry_after_s)
            self._give_up(error, attempts, time.monotonic() - start_s + pause_s)
            waits.note(self._url, str(error), pause_s)
            await asyncio.sleep(pause_s)

    def _give_up(self, error: "PassingError", attempts: int, waited_s: float) -> None:
        """Raises if another attempt is not worth its wait: after some of them, or where nobody is there too long.

        Raises:
            EncoderError: it is not.
        """
        from gpt4image.describe.endpoint.waits import tell_hour

        if (asked := error.retry_after_s or 0.0) > self._access.max_wait_s:
            why = f"asks to wait until {tell_hour(asked)}, which is longer than"
        elif (is_wait := bool(self.dimension) and (error.is_absent or error.is_throttle)) and (
            waited_s > self._access.max_wait_s
        ):
            why = "has not answered for longer than"
        elif attempts > RETRIES and not is_wait:
            raise EncoderError(f"{self._url} does not answer ({error}, {attempts} times); is the server running?")
        else:
            return
        raise EncoderError(f"{self._url} {why} --max-wait {self._access.max_wait_s:g} s ({error}); try again later")

    def _read(self, body: bytes, number: int) -> np.ndarray:
        """float32 [n, D], in the order of the texts, whatever order they come in."""
        vectors: dict[int, Any] = {}
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            vectors = {entry["index"]: entry["embedding"] for entry in json.loads(body)["data"]}
            if sorted(vectors) == list(range(number)):
                return np.array([vectors[place] for place in range(number)], dtype=np.float32).reshape(number, -1)
        raise EncoderError(f"{self._url} sent {len(vectors)} vectors for {number} texts, or of several widths")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [0] * len(texts)

    def lower_precision(self, precision: Precision) -> None:
        """Not for an endpoint.

        Raises:
            EncoderError: always.
        """
        raise EncoderError(f"--precision {precision}: the precision of an endpoint is set where its server is started")

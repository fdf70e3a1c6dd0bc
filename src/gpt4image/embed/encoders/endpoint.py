"""Text embeddings from an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, a cloud service."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from gpt4image.describe.endpoint.access.keys import NO_KEY
from gpt4image.describe.endpoint.access.privacy import check_endpoints, is_nearby
from gpt4image.embed.encoders.encoder import Access, Precision
from gpt4image.errors import EncoderError

if TYPE_CHECKING:
    import openai

BATCH_SIZE, BATCHES_AT_ONCE = 64, 8
RETRIES = 5
TIMEOUT_S = 180.0


class EndpointEncoder:
    """`MODEL` at the embeddings API of `URL`.

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
        import openai

        # No redirects and no proxies: texts go to the endpoint that was named and nowhere else.
        http_client = openai.DefaultHttpxClient(follow_redirects=False, trust_env=not is_nearby(self._url))
        key = os.environ.get(self._access.api_key_env) or NO_KEY
        batches = [texts[start : start + BATCH_SIZE] for start in range(0, len(texts), BATCH_SIZE)]
        with (
            openai.OpenAI(
                base_url=self._url, api_key=key, http_client=http_client, max_retries=RETRIES, timeout=TIMEOUT_S
            ) as client,
            ThreadPoolExecutor(BATCHES_AT_ONCE) as pool,
        ):
            vectors = np.concatenate(list(pool.map(lambda batch: self._encode_batch(client, batch), batches)))
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

    def _encode_batch(self, client: "openai.OpenAI", batch: Sequence[str]) -> np.ndarray:
        """float32 [n, D], in the order of the texts, whatever order they come in."""
        import openai

        try:
            answer = client.embeddings.create(model=self._model, input=list(batch), encoding_format="float")
        except openai.APIStatusError as error:
            text = " ".join(error.response.text.split())[:200]
            raise EncoderError(
                f"{self._url} answers status {error.status_code}: {text}; check URL, MODEL and the API key"
            ) from error
        except openai.APIError as error:
            raise EncoderError(f"{self._url} does not answer ({error}); is the server running?") from error
        vectors = {entry.index: entry.embedding for entry in answer.data or ()}
        if sorted(vectors) != list(range(len(batch))) or len({len(vector) for vector in vectors.values()}) != 1:
            raise EncoderError(f"{self._url} sent {len(vectors)} vectors for {len(batch)} texts, or of several widths")
        return np.array([vectors[place] for place in range(len(batch))], dtype=np.float32)

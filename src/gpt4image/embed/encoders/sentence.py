"""Text encoders in the form of sentence-transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.embed.encoders.batches import TOKENS_IN_BATCH, batches_by_length
from gpt4image.embed.encoders.encoder import DTYPES, Precision
from gpt4image.errors import EncoderError


class SentenceEncoder:
    """A sentence-transformers model."""

    texts_at_once = 1024

    def __init__(self, name: str, source: str, device: str) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        from gpt4image.models.machine import choose_device

        logging.disable_progress_bar()
        if source.startswith(("/", ".")) and not Path(source).exists():
            raise EncoderError(f"text encoder {name!r}: there is no folder {source}; give a name or an existing folder")
        self.name, chosen = name, choose_device(device)
        try:
            self._model = SentenceTransformer(source, device=str(chosen))
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(
                f"text encoder {name!r} cannot be loaded ({reason}); check the name after 'st:'"
            ) from error
        dimension = self._model.get_embedding_dimension()
        assert dimension is not None
        self.dimension = dimension
        self.max_tokens = self._model.max_seq_length or 512
        self._most_tokens = TOKENS_IN_BATCH["cpu" if self._model.device.type == "cpu" else "other"]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        lengths = np.minimum(self.count_tokens(texts), self.max_tokens)
        for batch in batches_by_length(lengths, self._most_tokens):
            vectors[batch] = self._model.encode(
                [texts[place] for place in batch],
                batch_size=len(batch),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self._model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

    def lower_precision(self, precision: Precision) -> None:
        """Computes with `precision` from now on."""
        import torch

        # Pooling and normalising stay in float32: there, 8 bits of a mean would be lost.
        self._model[0].to(getattr(torch, DTYPES[precision]))
        self._model[0].register_forward_hook(_to_float32)


def _to_float32(_: Any, __: Any, features: dict[str, Any]) -> dict[str, Any]:
    return {**features, "token_embeddings": features["token_embeddings"].float()}

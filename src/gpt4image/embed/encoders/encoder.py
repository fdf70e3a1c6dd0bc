"""What every text encoder can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Names in PyTorch, which takes a second to import."""


@dataclass(frozen=True)
class Access:
    """Whether texts may leave this machine, and how an endpoint is reached.

    Attributes:
        allow_remote: they may.
        api_key_env: environment variable that holds the API key.
        api_key_file: file that holds it instead, read again when it changes.
        header: further headers as NAME=ENVIRONMENT_VARIABLE.
        ca_file: certificates of the authorities to be trusted beside the usual ones.
        max_wait_s: longest wait for an endpoint that asks to wait, or is not there any more.
    """

    allow_remote: bool = False
    api_key_env: tuple[str, ...] = ("OPENAI_API_KEY",)
    api_key_file: tuple[Path, ...] = ()
    header: tuple[str, ...] = ()
    ca_file: Path | None = None
    max_wait_s: float = 600.0


@dataclass(eq=False)
class UnfinishedError(Exception):
    """Texts were not all embedded.

    Attributes:
        reason: why not.
        positions: of the texts that were, among those given.
        vectors: theirs, float32 [n, D].
    """

    reason: BaseException
    positions: Sequence[int]
    vectors: np.ndarray


class TextEncoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: as given to `load_encoder`.
        dimension: width D.
        max_tokens: texts are cut at this many tokens, special tokens included; 0 if nobody knows.
        texts_at_once: so many texts for a call keep it busy.
    """

    name: str
    dimension: int
    max_tokens: int
    texts_at_once: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embeds texts: float32 [n, D], L2-normalised.

        Raises:
            UnfinishedError: only some could be embedded, which were paid for.
        """

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before cutting, special tokens included."""

    def lower_precision(self, precision: Precision) -> None:
        """Computes with `precision` from now on."""


def encode_all(encoder: TextEncoder, texts: Sequence[str]) -> np.ndarray:
    """As `encoder.encode`, where some of the vectors are of no use: raises the reason why there are not all."""
    try:
        return encoder.encode(texts)
    except UnfinishedError as error:
        raise error.reason from error

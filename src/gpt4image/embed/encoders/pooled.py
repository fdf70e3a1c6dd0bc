"""Texts longer than an encoder reads: their sentences are embedded and pooled."""

import re
from collections.abc import Sequence

import numpy as np

from gpt4image.embed.encoders.encoder import Precision, TextEncoder, encode_all

SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")


class PooledEncoder:
    """An encoder for texts of any length.

    A text the encoder reads whole is embedded as ever. A longer one is split into pieces of whole sentences, each as
    long as the encoder reads; its vector is the mean of the pieces' normalised vectors, weighted by their tokens,
    normalised again.
    """

    def __init__(self, encoder: TextEncoder, name: str) -> None:
        self._encoder, self.name = encoder, name
        self.dimension, self.max_tokens = encoder.dimension, encoder.max_tokens
        self.texts_at_once = encoder.texts_at_once

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        pieces, counts, owners = self._split(texts)
        weighted = encode_all(self._encoder, pieces) * np.minimum(counts, self.max_tokens)[:, None]
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        np.add.at(vectors, owners, weighted.astype(np.float32))
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of the longest piece of each text: only a sentence that is too long is still cut."""
        _, counts, owners = self._split(texts)
        longest = np.zeros(len(texts), dtype=np.int64)
        np.maximum.at(longest, owners, counts)
        return longest.tolist()

    def lower_precision(self, precision: Precision) -> None:
        """As of the encoder."""
        self._encoder.lower_precision(precision)

    def _split(self, texts: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Pieces of all texts, their tokens, and the number of the text each is from."""
        pieces: list[str] = []
        owners: list[int] = []
        for number, (text, count) in enumerate(zip(texts, self._encoder.count_tokens(texts), strict=True)):
            parts = [text] if count <= self.max_tokens else self._join_sentences(text)
            pieces += parts
            owners += [number] * len(parts)
        return pieces, np.array(self._encoder.count_tokens(pieces)), np.array(owners)

    def _join_sentences(self, text: str) -> list[str]:
        """Whole sentences, as many together as the encoder reads."""
        sentences = [sentence for sentence in SENTENCE_END.split(text) if sentence.strip()]
        pieces: list[str] = []
        room = 0
        for sentence, count in zip(sentences, self._encoder.count_tokens(sentences), strict=True):
            if pieces and count <= room:
                pieces[-1] += " " + sentence
                room -= count
            else:
                pieces.append(sentence)
                room = self.max_tokens - count
        return pieces

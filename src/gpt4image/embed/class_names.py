"""Embeddings of the class names, beside a table: what the encoder knows of the classes without any label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gpt4image.embed.encoders.encoder import TextEncoder
from gpt4image.files import atomic_path

FILE_NAME = "class_names.npz"
TEXTS = ("{}", "a photo of a {}", "an image showing a {}")
"""A class name is embedded as the mean of these texts."""


def save_class_vectors(folder: Path, names: Sequence[str], encoder: TextEncoder) -> None:
    """Embeds class names and writes them into the table's folder."""
    if not names:
        return
    texts = [text.format(name.replace("_", " ").lower()) for name in names for text in TEXTS]
    vectors = encoder.encode(texts).reshape(len(names), len(TEXTS), -1).mean(1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with atomic_path(folder / FILE_NAME) as temporary, temporary.open("wb") as file:
        np.savez(file, names=np.array(names), vectors=vectors)


def load_class_vectors(folder: Path, names: Sequence[str]) -> np.ndarray | None:
    """Embeddings of class names in the table's folder: float32 [C, D], L2-normalised; None if one is missing."""
    if not (folder / FILE_NAME).exists():
        return None
    with np.load(folder / FILE_NAME, allow_pickle=False) as saved:
        position = {name: row for row, name in enumerate(saved["names"].tolist())}
        rows = [position.get(name) for name in names]
        return None if None in rows else saved["vectors"][rows]

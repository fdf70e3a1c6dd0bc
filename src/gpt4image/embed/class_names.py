"""Embeddings of the class names, beside a table: what the encoder knows of the classes without any label."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np

from gpt4image.describe.prompts.class_names import read_class_names
from gpt4image.embed.encoders.encoder import TextEncoder, encode_all
from gpt4image.files import atomic_path

FILE_NAME = "class_names.npz"
TEXTS = ("{}", "a photo of a {}", "an image showing a {}")
"""A class is embedded as the mean of these texts."""
FILE_SUFFIXES = (".json", ".csv", ".jsonl", ".parquet")


def read_class_words(given: Sequence[str], seen: Sequence[str], saved: Mapping[str, str]) -> dict[str, str]:
    """What is embedded for each class: its name in words and, after a colon, its explanation.

    Without a file, classes keep the words in which they were embedded before.

    Args:
        given: names of classes, or one file as `describe --class-names` takes it.
        seen: classes of the described images, for which names may stand in the file; they count if nothing is given.
        saved: words of classes that are embedded already.

    Raises:
        SettingsError: the file cannot be used.
    """
    if len(given) != 1 or not given[0].endswith(FILE_SUFFIXES):
        return {name: saved.get(name) or _in_words(name) for name in given or seen}
    names, explanations = read_class_names(Path(given[0]))
    words = {name: names.get(name) or _in_words(name) for name in (*seen, *names)}
    return {name: ": ".join(filter(None, (text, explanations.get(name)))) for name, text in words.items()}


def _in_words(name: str) -> str:
    return name.replace("_", " ").lower()


def save_class_vectors(folder: Path, words: Mapping[str, str], encoder: TextEncoder) -> None:
    """Embeds classes, given by name and words, and writes them into the table's folder."""
    if not words:
        return
    texts = [text.format(one) for one in words.values() for text in TEXTS]
    vectors = encode_all(encoder, texts).reshape(len(words), len(TEXTS), -1).mean(1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with atomic_path(folder / FILE_NAME) as temporary, temporary.open("wb") as file:
        np.savez(file, names=np.array(list(words)), words=np.array(list(words.values())), vectors=vectors)


def load_class_words(folder: Path) -> dict[str, str]:
    """The words in which classes are embedded in the table's folder, by class."""
    saved = _load(folder)
    if saved is None or "words" not in saved:
        return {}
    return dict(zip(saved["names"].tolist(), saved["words"].tolist(), strict=True))


def load_class_vectors(folder: Path, names: Sequence[str]) -> np.ndarray | None:
    """Embeddings of classes in the table's folder: float32 [C, D], L2-normalised; None if one is missing."""
    saved = _load(folder)
    if saved is None:
        return None
    position = {name: row for row, name in enumerate(saved["names"].tolist())}
    if not position.keys() >= set(names):
        return None
    return saved["vectors"][[position[name] for name in names]]


def _load(folder: Path) -> dict[str, np.ndarray] | None:
    """What is in the file; None if there is none, or it is damaged: classes are embedded again then."""
    try:
        with np.load(folder / FILE_NAME, allow_pickle=False) as saved:
            arrays = dict(saved)
    except (OSError, ValueError, LookupError, EOFError, SyntaxError, TokenError, zipfile.BadZipFile, zlib.error):
        return None
    has_all = {"names", "vectors"} <= arrays.keys()
    return arrays if has_all and len({len(array) for array in arrays.values()}) == 1 else None

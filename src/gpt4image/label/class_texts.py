"""Texts that are no more than a class: the class name of the given label, or the class that a describer picked.

Both take the place of the table of text embeddings, so that all that follows treats them as it treats descriptions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.embed.class_names import load_class_vectors
from gpt4image.embed.join import TextIndex
from gpt4image.embed.sources import read_texts
from gpt4image.embed.table import EmbeddingTable
from gpt4image.errors import DescriptionError
from gpt4image.images import UNLABELLED, ImageSet

ANSWERS = "pick_class"
"""The prompt whose answers are class names, unless another is named."""
NEGATION = re.compile(r"\b(?:not|no|none|neither|nor|never|isn|aren|cannot)\b")


@dataclass(frozen=True)
class ClassTexts(EmbeddingTable):
    """One text a class: `vectors` [C, D] in the order of `names`."""

    names: tuple[str, ...] = ()

    @property
    def rows(self) -> Any:  # type: ignore[override]
        """pyarrow Table with a hash for each text: the class name stands for it."""
        import pyarrow as pa

        return pa.table({"text_hash": list(self.names)})

    def class_vectors(self, names: Sequence[str]) -> np.ndarray | None:
        """The texts themselves."""
        return self.vectors.astype(np.float32)


def use_labels_as_texts(table: EmbeddingTable, images: ImageSet) -> tuple[ClassTexts, TextIndex]:
    """The text of an image is its class name, embedded in prompts such as "a photo of a {}"; none without a label.

    Raises:
        DescriptionError: the class names have not been embedded.
    """
    vectors = load_class_vectors(table.folder, images.classes)
    if vectors is None:
        raise DescriptionError(
            f"{table.folder} has no embeddings of the class names of {images.source}; "
            f"embed them: gpt4image embed WORK --class-names {' '.join(images.classes)}"
        )
    texts = ClassTexts(table.folder, vectors, table.manifest, images.classes)
    return texts, _index([[] if label == UNLABELLED else [int(label)] for label in images.labels])


def use_answers_as_texts(
    work: Path, prompts: Sequence[str], images: ImageSet, digests: Sequence[str]
) -> tuple[ClassTexts, TextIndex]:
    """The text of an image is the class that the describer named, as a unit vector; none if it named no or several.

    What an answer is worth is then found like what a description is worth: per answered class, by the agreement with
    given labels. Errors that are spread alike over all classes cannot be told from wrong labels.

    Args:
        work: work folder with descriptions.
        prompts: whose answers; `pick_class` if empty.
        images: the N images.
        digests: theirs.

    Raises:
        DescriptionError: there are no such answers about these images.
    """
    found = read_texts(work, prompts or (ANSWERS,), None)
    answers: dict[str, list[int]] = {}
    for digest, text in zip(found["digest"].to_pylist(), found["text"].to_pylist(), strict=True):
        answers.setdefault(digest, []).append(match_class(text, images.classes))
    named = [[label for label in answers.get(digest, []) if label != UNLABELLED] for digest in digests]
    if not any(named):
        raise DescriptionError(
            f"none of the {len(found)} answers in {work} names one class of {images.source}; "
            "ask for them: gpt4image describe IMAGES WORK --prompt pick_class"
        )
    unit = np.eye(len(images.classes), dtype=np.float32)
    facts = {"encoder": "answers", "prompts": sorted(set(found["prompt"].to_pylist()))}
    return ClassTexts(work, unit, facts, images.classes), _index(named)


def match_class(answer: str, classes: Sequence[str]) -> int:
    """The class that an answer names, `UNLABELLED` if it names none, several, or says that it is not one.

    Case, punctuation and white space do not count; a name within a longer one ("shirt" in "t-shirt") is not named.
    """
    names = [_plain(name) for name in classes]
    longest_first = sorted(filter(None, set(names)), key=len, reverse=True)
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")
    plain = _plain(answer)
    named = set(pattern.findall(plain)) if longest_first else set()
    if len(named) != 1 or NEGATION.search(pattern.sub(" ", plain)):
        return UNLABELLED
    (name,) = named
    return names.index(name) if names.count(name) == 1 else UNLABELLED


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def _index(rows: Sequence[Sequence[int]]) -> TextIndex:
    """The texts of each image, given as row numbers."""
    count = np.array([len(own) for own in rows], dtype=np.int64)
    flat = np.array([row for own in rows for row in own], dtype=np.int64)
    return TextIndex(flat, np.cumsum(count) - count, count)

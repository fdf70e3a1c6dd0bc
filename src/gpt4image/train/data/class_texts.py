"""Texts that are no more than the class name of the given label: a control for what descriptions say beyond it.

They take the place of the table of text embeddings, so that all that follows treats them as it treats descriptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpt4image.embed.class_names import load_class_vectors
from gpt4image.embed.join import TextIndex
from gpt4image.embed.table import EmbeddingTable
from gpt4image.errors import DescriptionError
from gpt4image.images import UNLABELLED, ImageSet


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


def _index(rows: Sequence[Sequence[int]]) -> TextIndex:
    """The texts of each image, given as row numbers."""
    count = np.array([len(own) for own in rows], dtype=np.int64)
    flat = np.array([row for own in rows for row in own], dtype=np.int64)
    return TextIndex(flat, np.cumsum(count) - count, count)

"""The descriptions and text embeddings that a run was trained with."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import DescriptionError
from gpt4image.report.pictures import locate
from gpt4image.runs import RunManifest


@dataclass(frozen=True)
class TrainingTexts:
    """Some of the described training images, one description each.

    Attributes:
        digests: of the images.
        texts: what was written about them.
        vectors: float32 [n, D], the texts' embeddings.
    """

    digests: list[str]
    texts: list[str]
    vectors: np.ndarray


def load_training_texts(
    manifest: RunManifest, folder: Path, most: int, known: Collection[str] | None = None
) -> TrainingTexts | None:
    """Reads the first description of at most `most` images, evenly spread; None if the run had none or they are gone.

    Args:
        manifest: of a run.
        folder: the comparison, for relative paths.
        most: images.
        known: digests to choose from; all of the table if None.
    """
    from gpt4image.embed.table import EmbeddingTable

    folder_of_table = locate(str(manifest.text.get("embeddings") or ""), folder)
    if folder_of_table is None:
        return None
    try:
        table = EmbeddingTable.open(folder_of_table)
        digests, first = np.unique(np.array(table.rows["digest"].to_pylist()), return_index=True)
        first = first if known is None else first[[digest in known for digest in digests.tolist()]]
        if len(first) == 0:
            return None
        chosen = np.linspace(0, len(first) - 1, min(most, len(first))).round().astype(int)
        rows = np.sort(first[chosen])
        found = table.rows.take(rows).to_pylist()
        texts = find_texts(found, folder_of_table.parent.parent)
    except DescriptionError:
        return None
    kept = [place for place, text in enumerate(texts) if text]
    vectors = table.vectors[rows[kept]].astype(np.float32)
    return TrainingTexts([found[place]["digest"] for place in kept], [texts[place] for place in kept], vectors)


def find_texts(rows: list[dict[str, Any]], work: Path) -> list[str]:
    """The text of each row; empty if the store no longer has it."""
    from gpt4image.describe.store.store import DescriptionStore

    wanted: dict[tuple[str, str, int], list[str]] = {}
    for row in rows:
        wanted.setdefault((row["prompt"], row["describer"], row["sample"]), []).append(row["digest"])
    with DescriptionStore.open(work) as store:
        found = {name: store.find(digests, *name) for name, digests in wanted.items()}
    texts = (found[row["prompt"], row["describer"], row["sample"]].get(row["digest"]) for row in rows)
    return [text.text if text else "" for text in texts]

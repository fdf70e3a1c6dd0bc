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

    table_folder = locate(str(manifest.text.get("embeddings") or ""), folder)
    if table_folder is None:
        return None
    try:
        table = EmbeddingTable.open(table_folder)
        return _read(table, table_folder.parent.parent, most, known)
    except DescriptionError:
        return None


def _read(table: Any, work: Path, most: int, known: Collection[str] | None) -> TrainingTexts | None:
    digests, first = np.unique(np.array(table.rows["digest"].to_pylist()), return_index=True)
    first = first if known is None else first[[digest in known for digest in digests.tolist()]]
    if len(first) == 0:
        return None
    chosen = np.linspace(0, len(first) - 1, min(most, len(first))).round().astype(int)
    rows = np.sort(first[chosen])
    texts = find_texts(table.rows.take(rows).to_pylist(), work)
    kept = [place for place, text in enumerate(texts) if text]
    return TrainingTexts(
        [table.rows["digest"][int(rows[place])].as_py() for place in kept],
        [texts[place] for place in kept],
        table.vectors[rows[kept]].astype(np.float32),
    )


def find_texts(rows: list[dict[str, Any]], work: Path) -> list[str]:
    """The text of each row; empty if the store no longer has it."""
    from gpt4image.describe.store.store import DescriptionStore

    found: dict[tuple[str, ...], str] = {}
    groups = {(row["prompt"], row["describer"], row["sample"]) for row in rows}
    with DescriptionStore.open(work) as store:
        for prompt, describer, sample in groups:
            wanted = [
                row["digest"]
                for row in rows
                if (row["prompt"], row["describer"], row["sample"]) == (prompt, describer, sample)
            ]
            for digest, description in store.find(wanted, prompt, describer, sample).items():
                found[digest, prompt, describer, str(sample)] = description.text
    return [found.get((row["digest"], row["prompt"], row["describer"], str(row["sample"])), "") for row in rows]

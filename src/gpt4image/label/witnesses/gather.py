"""Gathers what is known about each image: its given label, picks, texts, features, and what a person said of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gpt4image.describe.prompts.pick_names import PickNames
from gpt4image.embed.table import EmbeddingTable, find_table
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import DescriptionError
from gpt4image.label.weigh import Picks, Vectors
from gpt4image.label.witnesses.picks import read_picks


def gather_picks(
    work: Path,
    prompts: Sequence[PickNames],
    digests: Sequence[str],
    classes: Sequence[str],
    words: Mapping[str, str],
) -> tuple[Picks, ...]:
    """The picks of every prompt, describer and sample."""
    return tuple(picks for prompt in prompts for picks in read_picks(work, prompt, digests, classes, words))


def gather_texts(
    work: Path, embeddings: str | None, prompts: Sequence[str], digests: Sequence[str], classes: Sequence[str]
) -> tuple[Vectors, ...]:
    """The embedded descriptions, one set of vectors a prompt; several descriptions of an image count as their mean.

    Raises:
        DescriptionError: a prompt was not embedded.
    """
    if not prompts or (embeddings is None and not (work / "embeddings").is_dir()):
        return ()
    table = EmbeddingTable.open(find_table(work, embeddings))
    found = []
    for prompt in prompts:
        if prompt not in table.manifest["prompts"]:
            raise DescriptionError(
                f"{table.folder} has no embeddings of prompt {prompt!r}; embed them: gpt4image embed {work}"
            )
        index = table.join(digests, (prompt,))
        if not index.count.any():
            continue
        rows = np.where(index.count > 0, index.rows[np.minimum(index.start, max(len(index.rows) - 1, 0))], -1)
        vectors: np.ndarray = table.vectors
        if (index.count > 1).any():
            has = np.flatnonzero(index.count)
            vectors = TextEmbeddings(table, index).gather(has).astype(np.float16)
            rows = np.full(len(digests), -1)
            rows[has] = np.arange(len(has))
        found.append(Vectors(prompt, "text", vectors, rows, table.class_vectors(classes)))
    return tuple(found)

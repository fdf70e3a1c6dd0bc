"""The embedding table: vectors in a float16 memory map, one row a description, joined to images by digest."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from gpt4image.describe.prompts.prompt_names import match_prompts
from gpt4image.embed.class_names import load_class_vectors
from gpt4image.embed.join import TextIndex, join_digests
from gpt4image.errors import DescriptionError
from gpt4image.files import read_json, reading, write_json

VECTORS = "vectors.npy"
ROWS = "rows.parquet"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class EmbeddingTable:
    """Text embeddings of one encoder.

    Attributes:
        folder: where the table lies.
        vectors: float16 [N, D], memory-mapped: processes on one machine share its pages.
        manifest: encoder, counts, hashes, normalisation.
    """

    folder: Path
    vectors: np.ndarray
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "EmbeddingTable":
        """Opens a table; only its header is read.

        Raises:
            DescriptionError: there is no complete table in `folder`.
        """
        finish_replacement(folder)
        if not (folder / MANIFEST).exists():
            names = sorted(path.name for path in folder.parent.glob("*") if (path / MANIFEST).exists())
            hint = f"there are {', '.join(names)}" if names else "run gpt4image embed"
            raise DescriptionError(f"{folder} holds no text embeddings; {hint}")
        manifest = read_json(folder / MANIFEST)
        try:
            vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
            number, _ = int(manifest["num_rows"]), [*manifest.get("prompts", ())]
        except (OSError, ValueError, TypeError, LookupError, SyntaxError, TokenError) as error:
            raise DescriptionError(f"{folder} is damaged ({error}); embed again") from error
        if len(vectors) != number:
            raise DescriptionError(f"{folder} is damaged ({len(vectors)} vectors, {number} rows); embed again")
        return cls(folder, vectors, manifest)

    @cached_property
    def rows(self) -> Any:
        """pyarrow Table of the rows: digest, prompt, sample, key, text_hash, truncated."""
        from pyarrow import parquet

        with reading(self.folder / ROWS):
            return parquet.read_table(self.folder / ROWS)

    def class_vectors(self, names: Sequence[str]) -> np.ndarray | None:
        """Embeddings of class names: float32 [C, D], L2-normalised; None if one was not embedded."""
        return load_class_vectors(self.folder, names)

    def join(self, digests: Sequence[str], prompts: Sequence[str] = ()) -> TextIndex:
        """Finds the rows of each image by digest; an image may have none or several.

        Args:
            digests: of the images, in their order.
            prompts: only rows of these prompts; of all if empty.

        Raises:
            DescriptionError: the table has no row of a prompt.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import parquet

        usable = None
        if prompts:
            meant = match_prompts(prompts, self.manifest["prompts"], self.folder)
            usable = np.asarray(pc.is_in(self.rows["prompt"].cast(pa.string()), value_set=pa.array(meant)))
        with reading(self.folder / ROWS):
            column = parquet.read_table(self.folder / ROWS, columns=["digest"])["digest"]
        return join_digests(column, digests, usable)


def find_table(work: Path, name: str | None = None) -> Path:
    """The folder of a table in a work folder.

    Args:
        work: the work folder.
        name: of the table; not needed if there is only one.

    Raises:
        DescriptionError: no name is given, and there is no table or more than one.
    """
    parent = work / "embeddings"
    if name:
        return parent / name
    names = sorted(path.parent.name for path in parent.glob(f"*/{MANIFEST}"))
    if len(names) != 1:
        hint = f"choose one with --embeddings: {', '.join(names)}" if names else "run gpt4image embed first"
        raise DescriptionError(f"{parent} holds {len(names)} tables of text embeddings; {hint}")
    return parent / names[0]


def replace_table(folder: Path, new: Path) -> None:
    """Puts the finished table in `new` in the place of `folder`; survives being killed between the steps."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def finish_replacement(folder: Path) -> None:
    """Brings back the old table if a replacement was interrupted before the new one was in place."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        os.replace(old, folder)


def save_table(folder: Path, vectors: np.ndarray, rows: Any, manifest: dict[str, Any]) -> None:
    """Writes a whole table.

    Args:
        folder: empty or missing.
        vectors: [N, D]; stored as float16.
        rows: pyarrow Table with N rows.
        manifest: what else is known; the number of rows is added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / VECTORS, vectors.astype(np.float16, copy=False))
    save_rows(folder, rows, {**manifest, "dimension": int(vectors.shape[1])})


def save_rows(folder: Path, rows: Any, manifest: dict[str, Any]) -> None:
    """Writes what belongs to the vectors that are in `folder` already; the manifest comes last."""
    from pyarrow import parquet

    repeating = [name for name in rows.column_names if name not in ("digest", "key", "text_hash")]
    parquet.write_table(rows, folder / ROWS, use_dictionary=repeating)
    write_json(folder / MANIFEST, {**manifest, "num_rows": len(rows)})

"""The embedding table: vectors in a float16 memory map, one row a description, joined to images by digest."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import DescriptionError
from gpt4image.files import read_json, write_json

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
        vectors = np.load(folder / VECTORS, mmap_mode="r")
        if len(vectors) != manifest["num_rows"]:
            raise DescriptionError(
                f"{folder} is damaged ({len(vectors)} vectors, {manifest['num_rows']} rows); embed again"
            )
        return cls(folder, vectors, manifest)

    @cached_property
    def rows(self) -> Any:
        """pyarrow Table of the rows: digest, prompt, sample, key, text_hash, truncated."""
        from pyarrow import parquet

        return parquet.read_table(self.folder / ROWS)

    def join(self, digests: Sequence[str], prompts: Sequence[str] = ()) -> "TextIndex":
        """Finds the rows of each image by digest; an image may have none or several.

        Args:
            digests: of the images, in their order.
            prompts: only rows of these prompts; of all if empty.

        Raises:
            DescriptionError: the table has no row of a prompt.
        """
        return join_digests(self.rows["digest"], digests, self._of_prompts(prompts))

    def _of_prompts(self, prompts: Sequence[str]) -> np.ndarray:
        import pyarrow as pa
        import pyarrow.compute as pc

        for prompt in prompts:
            if prompt not in self.manifest["prompts"]:
                known = ", ".join(self.manifest["prompts"])
                raise DescriptionError(f"{self.folder} has no texts of prompt {prompt!r}; it has {known}")
        if not prompts:
            return np.ones(len(self.vectors), dtype=bool)
        column = self.rows["prompt"].cast(pa.string())
        return np.asarray(pc.is_in(column, value_set=pa.array(list(prompts))))


@dataclass(frozen=True)
class TextIndex:
    """Which rows of a table belong to which image: image i has `rows[start[i] : start[i] + count[i]]`.

    Attributes:
        rows: int64 [M], row numbers of the table, grouped by image.
        start: int64 [N].
        count: int64 [N], zero where an image has no description.
    """

    rows: np.ndarray
    start: np.ndarray
    count: np.ndarray

    def of(self, image: int) -> np.ndarray:
        """Rows of one image."""
        return self.rows[self.start[image] : self.start[image] + self.count[image]]


def join_digests(row_digests: Any, digests: Sequence[str], usable: np.ndarray | None = None) -> TextIndex:
    """Finds the rows of each image by digest.

    Args:
        row_digests: pyarrow strings, one a row.
        digests: of the images, in their order; two images may share one.
        usable: bool, which rows may be taken; all if None.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    images = pa.array(digests, pa.string())
    wanted = images.unique()
    image_of = np.asarray(pc.index_in(images, value_set=wanted), dtype=np.int64)
    found = pc.index_in(row_digests, value_set=wanted)
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    of_row = np.asarray(found.fill_null(-1), dtype=np.int64)
    rows = np.flatnonzero(of_row >= 0 if usable is None else (of_row >= 0) & usable)
    rows = rows[np.argsort(of_row[rows], kind="stable")]
    counts = np.bincount(of_row[rows], minlength=len(wanted))
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    return TextIndex(rows, starts[image_of], counts[image_of])


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
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / VECTORS, vectors.astype(np.float16, copy=False))
    parquet.write_table(rows, folder / ROWS)
    write_json(folder / MANIFEST, {**manifest, "num_rows": len(vectors), "dimension": int(vectors.shape[1])})

"""Embeds what a table lacks, in parts that survive being killed, and puts the whole table together on disk."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.embed.encoders.encoder import TextEncoder
from gpt4image.embed.table import MANIFEST, ROWS, VECTORS, EmbeddingTable, replace_table, save_rows
from gpt4image.files import atomic_path, read_json, write_json
from gpt4image.progress import track

CHUNK = 65_536
"""Vectors in memory at a time when the table is put together."""
ENCODER = "encoder.json"


@dataclass(frozen=True)
class Known:
    """Vectors that are on disk, of a table or of a part.

    Attributes:
        path: float16 [n, D] as .npy.
        hashes: uint64 [n], of their texts.
        truncated: bool [n], whether the encoder read only the beginning.
    """

    path: Path
    hashes: np.ndarray
    truncated: np.ndarray


class PendingTable:
    """A table on its way to holding a vector for each of `texts`.

    A vector belongs to a text, not to an image: the same text is embedded once, and a text that was embedded in
    an earlier table or an interrupted run is not embedded again. Vectors stay on disk; memory holds texts and hashes.

    Args:
        folder: the table's folder.
        encoder_name: a table made by another encoder is not reused.
        texts: pyarrow Table of `sources.read_texts`.

    Attributes:
        missing: rows of `texts` that must be embedded, the shortest text first; of equal texts only one.
        num_new: texts embedded so far.
    """

    def __init__(self, folder: Path, encoder_name: str, texts: Any) -> None:
        self.folder, self.encoder_name, self.texts = folder, encoder_name, texts
        self.parts = folder.with_name(folder.name + ".parts")
        self.num_new = 0
        self._hashes = _to_numbers(texts["text_hash"])
        self._encoder_facts: dict[str, Any] = {}
        self._known = [*self._find_table(), *self._find_parts()]
        self.missing = self._find_missing()

    def _find_table(self) -> Iterator[Known]:
        from pyarrow import parquet

        if not (self.folder / MANIFEST).exists():
            return
        table = EmbeddingTable.open(self.folder)
        if table.manifest["encoder"] != self.encoder_name:
            return
        self._encoder_facts = {name: table.manifest[name] for name in ("max_tokens", "dimension")}
        rows = parquet.read_table(self.folder / ROWS, columns=["text_hash", "truncated"])
        yield Known(self.folder / VECTORS, _to_numbers(rows["text_hash"]), rows["truncated"].to_numpy())

    def _find_parts(self) -> Iterator[Known]:
        facts = self.parts / ENCODER
        if not facts.exists() or read_json(facts)["encoder"] != self.encoder_name:
            shutil.rmtree(self.parts, ignore_errors=True)
            return
        self._encoder_facts = {name: read_json(facts)[name] for name in ("max_tokens", "dimension")}
        for path in sorted(self.parts.glob("*.npz")):
            with np.load(path, allow_pickle=False) as part:
                yield Known(path.with_suffix(".npy"), part["hashes"], part["truncated"])

    def _find_missing(self) -> list[int]:
        import pyarrow.compute as pc

        distinct, first = np.unique(self._hashes, return_index=True)
        known = np.concatenate([np.empty(0, np.uint64), *(known.hashes for known in self._known)])
        rows = first[~np.isin(distinct, known)]
        # Texts of similar length share a batch, so that little is padded.
        lengths = pc.utf8_length(self.texts["text"]).to_numpy()
        return rows[np.argsort(lengths[rows], kind="stable")].tolist()

    def encode(self, encoder: TextEncoder, batch_size: int) -> None:
        """Embeds the missing texts; each part of `batch_size` texts is on disk before the next begins."""
        self._encoder_facts = {"max_tokens": encoder.max_tokens, "dimension": encoder.dimension}
        write_json(self.parts / ENCODER, {"encoder": self.encoder_name, **self._encoder_facts})
        first = len(list(self.parts.glob("*.npz")))
        with track("embedding", len(self.missing)) as tracker:
            for number, rows in enumerate(_batches(self.missing, batch_size), start=first):
                texts = self.texts["text"].take(rows).to_pylist()
                parts = []
                for batch in _batches(texts, encoder.texts_at_once):
                    parts.append(encoder.encode(batch).astype(np.float16))
                    tracker.advance(len(batch))
                vectors = np.concatenate(parts)
                truncated = np.array(encoder.count_tokens(texts)) > encoder.max_tokens
                self._known.append(self._save_part(number, self._hashes[rows], vectors, truncated))
                self.num_new += len(rows)

    def _save_part(self, number: int, hashes: np.ndarray, vectors: np.ndarray, truncated: np.ndarray) -> Known:
        """A part counts once its .npz is there, which comes last."""
        path = self.parts / f"{number:06d}.npy"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, vectors)
        with atomic_path(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
            np.savez(file, hashes=hashes, truncated=truncated)
        return Known(path, hashes, truncated)

    def finish(self) -> EmbeddingTable:
        """Writes the table and returns it; an unchanged table is left alone."""
        if self.num_new or not self.is_finished:
            new = self.folder.with_name(self.folder.name + ".new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            truncated = self._write_vectors(new / VECTORS)
            rows = self.texts.drop_columns(["text"]).append_column("truncated", [truncated])
            save_rows(new, rows, self._manifest(truncated))
            replace_table(self.folder, new)
        shutil.rmtree(self.parts, ignore_errors=True)
        return EmbeddingTable.open(self.folder)

    def _write_vectors(self, path: Path) -> np.ndarray:
        """Copies each known vector to the rows of its text; returns which of them were truncated, bool [N]."""
        shape = (len(self._hashes), self._encoder_facts["dimension"])
        np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
        hashes = np.concatenate([known.hashes for known in self._known])
        order = np.argsort(hashes, kind="stable")
        source = order[np.searchsorted(hashes[order], self._hashes)]
        first = 0
        for known in self._known:
            place = source - first
            for rows in _batches(np.flatnonzero((place >= 0) & (place < len(known.hashes))), CHUNK):
                # Both are mapped anew for each chunk, so that pages that are done with leave this process.
                np.load(path, mmap_mode="r+")[rows] = np.load(known.path, mmap_mode="r")[place[rows]]
            first += len(known.hashes)
        return np.concatenate([known.truncated for known in self._known])[source]

    @cached_property
    def is_finished(self) -> bool:
        """Whether the table on disk is what `finish` would write, but for texts that are missing."""
        import pyarrow as pa
        from pyarrow import parquet

        if not (self.folder / MANIFEST).exists() or read_json(self.folder / MANIFEST)["encoder"] != self.encoder_name:
            return False
        columns = ["digest", "prompt", "describer", "sample", "text_hash"]
        old = parquet.read_table(self.folder / ROWS, columns=columns)
        return all(old[name].cast(pa.string()).equals(self.texts[name].cast(pa.string())) for name in columns)

    def _manifest(self, truncated: np.ndarray) -> dict[str, Any]:
        import pyarrow.compute as pc

        return {
            "encoder": self.encoder_name,
            "normalised": True,
            "num_truncated": int(truncated.sum()),
            "num_images": pc.count_distinct(self.texts["digest"]).as_py(),
            "prompts": sorted(pc.unique(self.texts["prompt"]).to_pylist()),
            "describers": sorted(pc.unique(self.texts["describer"]).to_pylist()),
            **self._encoder_facts,
        }


def _to_numbers(hashes: Any) -> np.ndarray:
    """uint64 [N] of a pyarrow column of 16 hex digits."""
    digits = (int(text, 16) for chunk in hashes.chunks for text in chunk.to_pylist())
    return np.fromiter(digits, dtype=np.uint64, count=len(hashes))


def _batches(items: Any, size: int) -> Iterator[Any]:
    yield from (items[start : start + size] for start in range(0, len(items), size))

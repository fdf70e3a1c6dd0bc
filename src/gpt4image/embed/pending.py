"""Embeds what a table lacks, in parts that survive being killed, and puts the whole table together on disk."""

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from gpt4image.embed.encoders.batches import batches_of
from gpt4image.embed.encoders.encoder import TextEncoder, UnfinishedError
from gpt4image.embed.table import MANIFEST, ROWS, VECTORS, EmbeddingTable, replace_table, save_rows
from gpt4image.errors import Gpt4ImageError
from gpt4image.files import atomic_path, read_json, write_json
from gpt4image.progress import say, track

CHUNK = 65_536
"""Vectors in memory at a time when the table is put together."""
ENCODER = "encoder.json"
FACTS = ("max_tokens", "dimension")


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


@dataclass
class Part:
    """Vectors on their way to the disk.

    Attributes:
        rows: of the table's texts.
        vectors: theirs, batches of float16 [n, D].
    """

    rows: list[int] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)

    def add(self, rows: list[int], vectors: np.ndarray) -> None:
        self.rows += rows
        self.vectors.append(vectors.astype(np.float16))


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
        import pyarrow.compute as pc

        self.folder, self.encoder_name, self.texts = folder, encoder_name, texts
        self.parts = folder.with_name(folder.name + ".parts")
        self.num_new = 0
        self._hashes = _to_numbers(texts["text_hash"])
        self._encoder_facts: dict[str, Any] = {}
        self._known = [*self._find_table(), *self._find_parts()]
        distinct, first = np.unique(self._hashes, return_index=True)
        known = np.concatenate([np.empty(0, np.uint64), *(one.hashes for one in self._known)])
        rows = first[~np.isin(distinct, known)]
        # Texts of similar length share a batch, so that little is padded.
        lengths = pc.utf8_length(texts["text"]).to_numpy()
        self.missing: list[int] = rows[np.argsort(lengths[rows], kind="stable")].tolist()

    def _find_table(self) -> Iterator[Known]:
        from pyarrow import parquet

        if not (self.folder / MANIFEST).exists():
            return
        with self._mended(self.folder):
            table = EmbeddingTable.open(self.folder)
            if table.manifest["encoder"] != self.encoder_name:
                return
            facts = {name: int(table.manifest[name]) for name in FACTS}
            rows = parquet.read_table(self.folder / ROWS, columns=["text_hash", "truncated"])
            hashes, truncated = _to_numbers(rows["text_hash"]), rows["truncated"].to_numpy()
            _check_shapes(table.vectors, hashes, truncated, facts["dimension"])
            self._encoder_facts = facts
            yield Known(self.folder / VECTORS, hashes, truncated)

    def _find_parts(self) -> Iterator[Known]:
        facts: dict[str, int] = {}
        with self._mended(self.parts):
            found = read_json(self.parts / ENCODER) if (self.parts / ENCODER).exists() else {}
            if found.get("encoder") == self.encoder_name:
                facts = {name: int(found[name]) for name in FACTS}
        if not facts:
            shutil.rmtree(self.parts, ignore_errors=True)
            return
        self._encoder_facts = facts
        for path in sorted(self.parts.glob("*.npz")):
            with self._mended(path):
                with np.load(path, allow_pickle=False) as part:
                    hashes, truncated = part["hashes"], part["truncated"]
                vectors = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
                _check_shapes(vectors, hashes, truncated, facts["dimension"])
                yield Known(path.with_suffix(".npy"), hashes, truncated)

    @contextmanager
    def _mended(self, path: Path) -> Iterator[None]:
        """What cannot be read is said, and embedded again."""
        import pyarrow as pa

        of_values = (OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, SyntaxError)
        of_formats = (pa.ArrowException, TokenError, zipfile.BadZipFile, zlib.error, Gpt4ImageError)
        try:
            yield
        except (*of_values, *of_formats) as error:
            say(f"{path} is damaged ({' '.join(str(error).split())[:100]}); its texts are embedded again")

    def encode(self, encoder: TextEncoder, batch_size: int) -> None:
        """Embeds the missing texts; each part of `batch_size` is on disk before the next begins, or all ends."""
        self._encoder_facts = {"max_tokens": encoder.max_tokens, "dimension": encoder.dimension}
        write_json(self.parts / ENCODER, {"encoder": self.encoder_name, **self._encoder_facts})
        with track("embedding", len(self.missing)) as tracker:
            for rows in batches_of(self.missing, batch_size):
                part = Part()
                try:
                    for batch in batches_of(rows, encoder.texts_at_once):
                        self._encode_batch(encoder, batch, part)
                        tracker.advance(len(batch))
                finally:
                    if part.rows:
                        self._save_part(part, encoder)

    def _encode_batch(self, encoder: TextEncoder, rows: list[int], part: Part) -> None:
        try:
            part.add(rows, encoder.encode(self.texts["text"].take(rows).to_pylist()))
        except UnfinishedError as error:
            part.add([rows[place] for place in error.positions], error.vectors)
            raise error.reason from error

    def _save_part(self, part: Part, encoder: TextEncoder) -> None:
        """A part is named by its texts, and counts once its .npz is there, which comes last."""
        hashes, vectors = self._hashes[part.rows], np.concatenate(part.vectors)
        truncated = np.array(encoder.count_tokens(self.texts["text"].take(part.rows).to_pylist())) > encoder.max_tokens
        path = self.parts / f"{hashlib.sha256(hashes.tobytes()).hexdigest()[:16]}.npy"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, vectors)
        with atomic_path(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
            np.savez(file, hashes=hashes, truncated=truncated)
        self._known.append(Known(path, hashes, truncated))
        self.num_new += len(hashes)

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
            for rows in batches_of(np.flatnonzero((place >= 0) & (place < len(known.hashes))), CHUNK):
                # Both are mapped anew for each chunk, so that pages that are done with leave this process.
                np.load(path, mmap_mode="r+")[rows] = np.load(known.path, mmap_mode="r")[place[rows]]
            first += len(known.hashes)
        return np.concatenate([known.truncated for known in self._known])[source]

    @cached_property
    def is_finished(self) -> bool:
        """Whether the table on disk is what `finish` would write, but for texts that are missing."""
        import pyarrow as pa
        from pyarrow import parquet

        if not any(known.path.parent == self.folder for known in self._known):
            return False
        columns = ["digest", "prompt", "describer", "sample", "text_hash"]
        try:
            old = parquet.read_table(self.folder / ROWS, columns=columns)
        except (pa.ArrowException, OSError, ValueError):
            return False
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


def _check_shapes(vectors: np.ndarray, hashes: np.ndarray, truncated: np.ndarray, dimension: int) -> None:
    number = len(hashes)
    if vectors.shape != (number, dimension) or vectors.dtype != np.float16 or truncated.shape != (number,):
        raise ValueError(f"vectors of the shape {vectors.shape} for {number} texts of {dimension} numbers")
    if hashes.dtype != np.uint64 or truncated.dtype != bool:
        raise ValueError(f"hashes as {hashes.dtype}")


def _to_numbers(hashes: Any) -> np.ndarray:
    """uint64 [N] of a pyarrow column of 16 hex digits."""
    digits = (int(text, 16) for chunk in hashes.chunks for text in chunk.to_pylist())
    return np.fromiter(digits, dtype=np.uint64, count=len(hashes))

"""Embeds what a table lacks, in parts that survive being killed, and puts the whole table together."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.embed.encoders import TextEncoder
from gpt4image.embed.table import MANIFEST, EmbeddingTable, replace_table, save_table
from gpt4image.files import atomic_path, read_json, write_json
from gpt4image.progress import Tracker, track

PROGRESS_BATCH = 128
"""Texts between two steps of the progress bar."""


class PendingTable:
    """A table on its way to holding a vector for each of `texts`.

    A vector belongs to a text, not to an image: the same text is embedded once, and a text that was embedded in
    an earlier table or an interrupted run is not embedded again.

    Args:
        folder: the table's folder.
        encoder_name: a table made by another encoder is not reused.
        texts: pyarrow Table of `sources.read_texts`.
    """

    def __init__(self, folder: Path, encoder_name: str, texts: Any) -> None:
        self.folder, self.encoder_name, self.texts = folder, encoder_name, texts
        self.parts = folder.with_name(folder.name + ".parts")
        self.hashes: list[str] = texts["text_hash"].to_pylist()
        self.num_new = 0
        self._vectors: dict[str, np.ndarray] = {}
        self._truncated: dict[str, bool] = {}
        self._encoder_facts: dict[str, Any] = {}
        self._load_old_table()
        self._load_parts()
        self.missing = [hash_ for hash_ in dict.fromkeys(self.hashes) if hash_ not in self._vectors]

    def _load_old_table(self) -> None:
        if not (self.folder / MANIFEST).exists():
            return
        table = EmbeddingTable.open(self.folder)
        if table.manifest["encoder"] != self.encoder_name:
            return
        self._encoder_facts = {name: table.manifest[name] for name in ("max_tokens", "dimension")}
        hashes, cut = table.rows["text_hash"].to_pylist(), table.rows["truncated"].to_pylist()
        self._vectors.update(zip(hashes, table.vectors, strict=True))
        self._truncated.update(zip(hashes, cut, strict=True))

    def _load_parts(self) -> None:
        facts = self.parts / "encoder.json"
        if not facts.exists() or read_json(facts)["encoder"] != self.encoder_name:
            shutil.rmtree(self.parts, ignore_errors=True)
            return
        self._encoder_facts = {name: read_json(facts)[name] for name in ("max_tokens", "dimension")}
        for path in sorted(self.parts.glob("*.npz")):
            with np.load(path, allow_pickle=False) as part:
                self._add(part["hashes"].tolist(), part["vectors"], part["truncated"])

    def _add(self, hashes: list[str], vectors: np.ndarray, truncated: np.ndarray) -> None:
        self._vectors.update(zip(hashes, vectors, strict=True))
        self._truncated.update(zip(hashes, truncated.tolist(), strict=True))

    def encode(self, encoder: TextEncoder, batch_size: int) -> None:
        """Embeds the missing texts; each part of `batch_size` texts is on disk before the next begins."""
        text_of = dict(zip(self.hashes, self.texts["text"].to_pylist(), strict=True))
        self._encoder_facts = {"max_tokens": encoder.max_tokens, "dimension": encoder.dimension}
        write_json(self.parts / "encoder.json", {"encoder": self.encoder_name, **self._encoder_facts})
        first = len(list(self.parts.glob("*.npz")))
        # Texts of similar length share a batch, so that little is padded.
        missing = sorted(self.missing, key=lambda hash_: len(text_of[hash_]))
        with track("embedding", len(missing)) as tracker:
            for number, hashes in enumerate(_batches(missing, batch_size), start=first):
                texts = [text_of[hash_] for hash_ in hashes]
                vectors = self._encode_part(encoder, texts, tracker)
                truncated = np.array(encoder.count_tokens(texts)) > encoder.max_tokens
                with atomic_path(self.parts / f"{number:06d}.npz") as temporary, temporary.open("wb") as file:
                    np.savez(file, hashes=np.array(hashes), vectors=vectors, truncated=truncated)
                self._add(hashes, vectors, truncated)
                self.num_new += len(hashes)

    def _encode_part(self, encoder: TextEncoder, texts: list[str], tracker: Tracker) -> np.ndarray:
        vectors = []
        for batch in _batches(texts, PROGRESS_BATCH):
            vectors.append(encoder.encode(batch).astype(np.float16))
            tracker.advance(len(batch))
        return np.concatenate(vectors)

    def finish(self) -> EmbeddingTable:
        """Writes the table and returns it; an unchanged table is left alone."""
        if not self._unchanged():
            new = self.folder.with_name(self.folder.name + ".new")
            shutil.rmtree(new, ignore_errors=True)
            truncated = [self._truncated[hash_] for hash_ in self.hashes]
            vectors = np.stack([self._vectors[hash_] for hash_ in self.hashes])
            rows = self.texts.drop_columns(["text"]).append_column("truncated", [truncated])
            save_table(new, vectors, rows, self._manifest(truncated))
            self._vectors.clear()
            replace_table(self.folder, new)
        shutil.rmtree(self.parts, ignore_errors=True)
        return EmbeddingTable.open(self.folder)

    def _unchanged(self) -> bool:
        if self.num_new or not (self.folder / MANIFEST).exists():
            return False
        table = EmbeddingTable.open(self.folder)
        same_encoder = table.manifest["encoder"] == self.encoder_name
        columns = ["digest", "prompt", "describer", "sample", "text_hash"]
        return same_encoder and table.rows.select(columns).to_pydict() == self.texts.select(columns).to_pydict()

    def _manifest(self, truncated: list[bool]) -> dict[str, Any]:
        return {
            "encoder": self.encoder_name,
            "normalised": True,
            "num_truncated": sum(truncated),
            "num_images": len(set(self.texts["digest"].to_pylist())),
            "prompts": sorted(set(self.texts["prompt"].to_pylist())),
            "describers": sorted(set(self.texts["describer"].to_pylist())),
            **self._encoder_facts,
        }


def _batches(items: list[str], size: int) -> Iterator[list[str]]:
    yield from (items[start : start + size] for start in range(0, len(items), size))

"""The photos of clean_labels.py: packed once into one file with their texts, and read from it."""

import gzip
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gpt4image.embed.encoders.load import load_encoder

ATTRIBUTES = {"colour": "colour", "gender": "gender", "usage": "usage", "sleeve": "sleeve length", "neck": "neck"}
KINDS = ("description", "attributes")
RARE = 25
"""Values of an attribute that fewer probe photos have are left out."""
TRAINING, VALIDATION, PROBE = 250, 60, 80
"""Photos a class at most."""
LARGE, SIDE = 100, 72
"""Larger photos than the one are packed at the other size, in pixels."""


@dataclass
class Photos:
    """Pixels uint8 [N, 3, S, S] or features float [N, F]; classes; attribute values [N, 5] with -1 for none; texts.

    `vectors` holds the embeddings of the texts of each kind, zero rows for photos without one.
    """

    pixels: Tensor
    labels: np.ndarray
    aspects: np.ndarray
    texts: dict[str, list[str]]
    vectors: dict[str, np.ndarray]


def pack(listed: Path, file: Path, final: bool) -> None:
    """Writes photos of a list (columns path, label, small, texts, attributes) and embedded texts to an npz file.

    Photos marked `small` train first. Validation photos and those that probes are fitted on are others of `train/`;
    with `final`, those of `test/` stand in place of the validation photos.
    """
    rows = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    classes, rng = sorted({row["label"] for row in rows}), np.random.default_rng(0)
    training = [row for row in rows if row["path"].startswith("train/")]
    training = [training[place] for place in rng.permutation(len(training))]
    probes = PROBE if any("shop_attributes" in row for row in rows) else 0
    parts: dict[str, list[dict]] = {"training": [], "probe": [], "test": []}
    for name in classes:
        own = [row for row in training if row["label"] == name]
        others = [row for row in own if not row.get("small")]
        held_out = min(VALIDATION, len(others) // 2)
        probe, rest = others[held_out:][:probes], others[held_out + probes :]
        parts["training"] += ([row for row in own if row.get("small")] + rest)[:TRAINING]
        parts["test"] += others[:held_out]
        parts["probe"] += probe
    if final:
        parts["test"] = [row for row in rows if row["path"].startswith("test/")]
    chosen = [(part, row) for part, own in parts.items() for row in own]
    pictures = [read_bytes(listed.parent / row["path"]) for _, row in chosen]
    values = {name: find_values(parts["probe"], name) for name in ATTRIBUTES}
    kept = [
        {
            "part": part,
            "label": row["label"],
            "aspects": [values[name].get(find_value(row, name), -1) for name in ATTRIBUTES],
            "texts": {kind: row.get(kind) or "" for kind in KINDS} if part == "training" else {},
        }
        for part, row in chosen
    ]
    texts = sorted({text for row in kept for text in row["texts"].values() if text})
    vectors = load_encoder("minilm", "cpu").encode(texts)
    lines = "\n".join(json.dumps(row) for row in kept)
    np.savez(
        file,
        rows=np.frombuffer(gzip.compress(lines.encode()), np.uint8),
        texts=np.frombuffer(gzip.compress(json.dumps(texts).encode()), np.uint8),
        vectors=vectors.astype(np.float16),
        pictures=np.frombuffer(b"".join(pictures), np.uint8),
        ends=np.cumsum([len(picture) for picture in pictures]),
    )
    sizes = {part: len(own) for part, own in parts.items()}
    print(f"{file}: {sizes}, {len(classes)} classes, {len(texts)} texts")


def read_bytes(path: Path) -> bytes:
    """The file as it is if it is small, else a smaller JPEG."""
    with Image.open(path) as image:
        if max(image.size) <= LARGE:
            return path.read_bytes()
        smaller = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    smaller.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def find_value(row: dict, name: str) -> str | None:
    return row.get(name) or row.get("shop_attributes", {}).get(ATTRIBUTES[name])


def find_values(rows: list[dict], name: str) -> dict[str | None, int]:
    found = [value for row in rows if (value := find_value(row, name))]
    frequent = [value for value in sorted(set(found)) if found.count(value) >= RARE]
    return {value: number for number, value in enumerate(frequent)}


class Pack:
    """What `pack` wrote; pixels are decoded once."""

    def __init__(self, file: Path, size: int) -> None:
        data = np.load(file)
        self.rows = [json.loads(line) for line in gzip.decompress(data["rows"].tobytes()).decode().split("\n")]
        texts = json.loads(gzip.decompress(data["texts"].tobytes()))
        self._places = {text: place for place, text in enumerate(texts)}
        self._vectors = data["vectors"].astype(np.float32)
        ends, pictures = data["ends"], data["pictures"].tobytes()
        starts = np.concatenate([[0], ends[:-1]])
        self._pixels = torch.stack([decode(pictures[start:end], size) for start, end in zip(starts, ends, strict=True)])

    def choose(self, per_class: int, num_classes: int | None) -> tuple[dict[str, Photos], list[str]]:
        """Photos of each part, of the classes with the most training photos; and the names of these classes."""
        names = [row["label"] for row in self.rows if row["part"] == "training"]
        frequent = sorted(sorted(set(names)), key=lambda name: -names.count(name))[:num_classes]
        classes = sorted(frequent)
        return {part: self._take(part, classes, per_class) for part in ("training", "probe", "test")}, classes

    def _take(self, part: str, classes: list[str], per_class: int) -> Photos:
        places, counts = [], dict.fromkeys(classes, 0)
        for place, row in enumerate(self.rows):
            if row["part"] != part or row["label"] not in counts:
                continue
            counts[row["label"]] += 1
            if part != "training" or counts[row["label"]] <= per_class:
                places.append(place)
        rows = [self.rows[place] for place in places]
        texts = {kind: [row["texts"].get(kind, "") for row in rows] for kind in KINDS}
        vectors = {kind: self._embed(own) for kind, own in texts.items()}
        labels = np.array([classes.index(row["label"]) for row in rows])
        return Photos(self._pixels[places], labels, np.array([row["aspects"] for row in rows]), texts, vectors)

    def _embed(self, texts: list[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for place, text in enumerate(texts):
            if text:
                vectors[place] = self._vectors[self._places[text]]
        return vectors


def decode(picture: bytes, size: int) -> Tensor:
    """Uint8 [3, S, S]."""
    with Image.open(io.BytesIO(picture)) as image:
        resized = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)

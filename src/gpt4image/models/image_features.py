"""Features of images under a frozen pre-trained model, computed once and kept by digest."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.files import atomic_path, read_json, write_json
from gpt4image.images import ImageSet
from gpt4image.images.cache import cache_folder
from gpt4image.models.frozen import FrozenBackbone
from gpt4image.models.predict import predict_blocks

DIGITS = 64
"""Of a digest: SHA-256 in hex."""
BLOCK = 2048
"""Images whose features are kept on disk together, as they are computed."""
FACTS = "manifest.json"


@dataclass(frozen=True)
class ImageFeatures:
    """Pooled features, what the model's classifier sees.

    Attributes:
        vectors: float16 [M, F], memory-mapped.
        rows: int64 [N], the row of each image.
        name: of the backbone, with the size of its input.
        num_new: images whose features were computed by this call.
    """

    vectors: np.ndarray
    rows: np.ndarray
    name: str
    num_new: int = 0


def load_image_features(
    images: ImageSet,
    digests: Sequence[str],
    backbone: FrozenBackbone,
    device: str = "auto",
    workers: int | None = None,
) -> ImageFeatures:
    """Features of readable images, from the user's cache folder; only those that are not there yet are computed.

    Args:
        images: N readable images.
        digests: theirs.
        backbone: see `find_frozen`.
        device: where the model runs.
        workers: processes that decode images; as many as suit the device if None.

    Raises:
        ModelError: the model has no pooled features.
    """
    folder = cache_folder() / "features" / backbone.name
    known = _read_known(folder, backbone.identity)
    wanted = np.asarray(digests, dtype=f"S{DIGITS}")
    distinct, first = np.unique(wanted, return_index=True)
    missing = np.sort(first[~np.isin(distinct, known)])
    if len(missing):
        # Kept features are the same whichever device they were computed on, but for the last digits.
        how: dict[str, Any] = {"workers": workers, "device": device, "label": "features", "precision": "fp32"}
        start = 0
        for found in predict_blocks(backbone.load(), images.subset(missing), backbone.data_config, BLOCK, **how):
            block = missing[start : start + len(found.features)]
            _save_part(folder, wanted[block], found.features.astype(np.float16))
            start += len(block)
        known = _put_together(folder, backbone.identity)
    order = np.argsort(known)
    rows = order[np.searchsorted(known, wanted, sorter=order)]
    return ImageFeatures(np.load(folder / "vectors.npy", mmap_mode="r"), rows, backbone.name, len(missing))


def _read_known(folder: Path, identity: str) -> np.ndarray:
    """Digests whose features are there; those of other weights, or damaged ones, are thrown away."""
    try:
        facts = read_json(folder / "identity.json")
        if facts["identity"] == identity:
            return _put_together(folder, identity)
    except Exception:  # Whatever is wrong with the files: what they say can be computed again.
        pass
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "identity.json", {"identity": identity})
    return np.empty(0, dtype=f"S{DIGITS}")


def _save_part(folder: Path, digests: np.ndarray, vectors: np.ndarray) -> None:
    """A part is named by its content, so that two processes at once write the same file."""
    name = hashlib.sha256(digests.tobytes()).hexdigest()[:16]
    with atomic_path(folder / "parts" / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, digests=digests, vectors=vectors)


def _put_together(folder: Path, identity: str) -> np.ndarray:
    """Takes all parts into one file of vectors; returns the digests of its rows."""
    digests, vectors = [], []
    if (folder / FACTS).exists():
        digests.append(np.load(folder / "digests.npy"))
        vectors.append(np.load(folder / "vectors.npy", mmap_mode="r"))
        if len(digests[0]) != len(vectors[0]) or len(digests[0]) != read_json(folder / FACTS)["num_images"]:
            raise ValueError("features and digests disagree")
    parts = sorted((folder / "parts").glob("*.npz"))
    for part in parts:
        with np.load(part, allow_pickle=False) as saved:
            digests.append(saved["digests"])
            vectors.append(saved["vectors"])
    if not digests:
        return np.empty(0, dtype=f"S{DIGITS}")
    all_digests, first = np.unique(np.concatenate(digests), return_index=True)
    if parts:
        joined = np.concatenate(vectors)[first]
        (folder / FACTS).unlink(missing_ok=True)
        for name, array in (("vectors", joined), ("digests", all_digests)):
            with atomic_path(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array)
        write_json(folder / FACTS, {"identity": identity, "num_images": len(all_digests)})
        shutil.rmtree(folder / "parts")
        return all_digests
    return digests[0]

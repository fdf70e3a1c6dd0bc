"""What stands in a run's folder, for the stages that read it."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpt4image.errors import RunError
from gpt4image.files import atomic_path, check_kinds, read_json, reading, write_json

if TYPE_CHECKING:
    from torch import nn

MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
BACKBONE, HEAD = "backbone.safetensors", "head.safetensors"
"""Together what `WEIGHTS` is, in runs whose backbone is frozen: it is one file for all runs, linked to."""
PROJECTOR = "projector.safetensors"
METRICS = "metrics.jsonl"
TRAINED_ON = "trained_on.npy"
"""Of each training and validation image the first 64 bits of its digest: uint64, in ascending order."""
EVALUATION = "evaluation.json"
SETTINGS = "settings.yaml"
CHECKPOINT = "checkpoints/last.pt"


@dataclass(frozen=True)
class RunManifest:
    """`RUN/manifest.json`: all that is needed to load the model and to know where it comes from.

    Attributes:
        model: name for `models.create_model`.
        model_kwargs: its further arguments.
        classes: class names in logit order.
        data_config: timm's: input_size (C, H, W), interpolation, mean, std, crop_pct.
        num_features: width F of the pooled features.
        images: source of the training images.
        num_images: training images used.
        num_described: how many of them had a text embedding.
        digests_hash: `hash_digests` of the training images, in order.
        unreadable: key of each image left out and why.
        text: what the text side was: embeddings name and manifest, projector, objective; empty for a plain run.
        labels: which weighed labels were learnt, and what was estimated of them; empty if the given ones were.
        frozen: what the frozen backbone is, empty if all weights were trained: `name`, `penalty` of the head.
        settings: the resolved settings.
        version: of gpt4image.
        seconds: training time.
    """

    model: str
    model_kwargs: dict[str, Any]
    classes: list[str]
    data_config: dict[str, Any]
    num_features: int
    images: str
    num_images: int
    num_described: int
    digests_hash: str
    unreadable: dict[str, str] = field(default_factory=dict)
    text: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    frozen: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    seconds: float = 0.0

    def save(self, run: Path) -> None:
        """Writes the manifest; a run with a manifest is finished."""
        write_json(run / MANIFEST, asdict(self))


def load_manifest(run: Path) -> RunManifest:
    """Reads a finished run's manifest.

    Raises:
        RunError: the folder is no finished run.
    """
    if not (run / MANIFEST).exists():
        state = "is not finished; give the same train command again" if (run / CHECKPOINT).exists() else "is no run"
        raise RunError(f"{run} {state} (a finished run holds {MANIFEST} and {WEIGHTS})")
    with reading(run / MANIFEST):
        return RunManifest(**check_kinds(RunManifest, read_json(run / MANIFEST)))


def load_model(run: Path, manifest: RunManifest) -> "nn.Module":
    """The trained plain model, in evaluation mode, on the CPU.

    Raises:
        RunError: the weights are missing or do not fit the manifest.
        ModelError: the manifest names code that the user has not named.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from gpt4image.models.create import create_model
    from gpt4image.models.trust import refuse_import

    refuse_import(manifest.model, run / MANIFEST)
    with reading(run / MANIFEST):
        size = int(manifest.data_config["input_size"][-1])
    model = create_model(manifest.model, len(manifest.classes), size, kwargs=manifest.model_kwargs)
    try:
        state = {name: value for path in weight_files(run) for name, value in load_file(path).items()}
        model.load_state_dict(state)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise RunError(f"{run / WEIGHTS} does not fit {run / MANIFEST}: {error}") from error
    return model.eval()


def hash_digests(digests: Sequence[str]) -> str:
    """SHA-256 over a list of digests in order: two image lists are the same if it is."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def save_trained_on(run: Path, digests: Sequence[str]) -> None:
    """Keeps which images a run has seen, so that nobody takes them for test images unawares."""
    with atomic_path(run / TRAINED_ON) as temporary, temporary.open("wb") as file:
        np.save(file, np.unique(_shorten(digests)))


def find_trained_on(run: Path, digests: Sequence[str]) -> np.ndarray:
    """Positions of the images that the run has seen, by their bytes; none where it has not kept which they were."""
    if not (run / TRAINED_ON).exists():
        return np.empty(0, np.int64)
    with reading(run / TRAINED_ON):
        return np.flatnonzero(np.isin(_shorten(digests), np.load(run / TRAINED_ON, allow_pickle=False)))


def _shorten(digests: Sequence[str]) -> np.ndarray:
    return np.array([int(digest[:16], 16) for digest in digests], np.uint64)


def weight_files(run: Path) -> list[Path]:
    """The files that hold a run's weights."""
    parts = [run / BACKBONE, run / HEAD]
    return parts if parts[1].exists() else [run / WEIGHTS]


def load_head(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """The head on a frozen backbone: weight float32 [C, F] and bias float32 [C]."""
    from safetensors.numpy import load_file

    with reading(run / HEAD):
        by_size = sorted(load_file(run / HEAD).values(), key=lambda value: -value.ndim)
        return by_size[0].reshape(len(by_size[1]), -1), by_size[1]


def hash_weights(run: Path) -> str:
    """SHA-256 of a run's weights, as hex digits."""
    digest = hashlib.sha256()
    for path in weight_files(run):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()

"""A run's projector: image features in the place of text embeddings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from gpt4image.errors import RunError
from gpt4image.runs import PROJECTOR

if TYPE_CHECKING:
    from gpt4image.images import ImageSet

BATCH_NORM_EPSILON = 1e-5


def project_images(run: Path, images: "ImageSet", **how: Any) -> Float32[np.ndarray, "n d"]:
    """What the projector of a run makes of readable images.

    Args:
        run: a finished run.
        images: N readable images.
        how: `batch_size`, `workers`, `device` of `predict`.

    Raises:
        RunError: the run has no projector.
    """
    from gpt4image.predict import predict
    from gpt4image.runs import load_manifest, load_model

    state = load_projector(run)
    if state is None:
        raise RunError(
            f"{run} has no projector to text embeddings; give a run trained with descriptions (train --work)"
        )
    manifest = load_manifest(run)
    outputs = predict(load_model(run, manifest), images, manifest.data_config, label="looking", **how)
    return project(state, outputs.features)


def load_projector(run: Path) -> dict[str, np.ndarray] | None:
    """The projector's weights by name, None if the run has none."""
    from safetensors.numpy import load_file

    return load_file(run / PROJECTOR) if (run / PROJECTOR).exists() else None


def project(state: Mapping[str, np.ndarray], features: Float32[np.ndarray, "n f"]) -> Float32[np.ndarray, "n d"]:
    """Runs the projector: linear layers, batch norms with their running statistics, and a ReLU where no weights are.

    Args:
        state: state dict of an `nn.Sequential`, names `0.weight`, `1.running_mean` and so on.
        features: pooled image features.
    """
    numbers = sorted({int(name.partition(".")[0]) for name in state})
    for number in range(numbers[-1] + 1):
        layer = {name.partition(".")[2]: value for name, value in state.items() if name.startswith(f"{number}.")}
        if not layer:
            features = np.maximum(features, 0)
        elif "running_mean" in layer:
            scale = layer["weight"] / np.sqrt(layer["running_var"] + BATCH_NORM_EPSILON)
            features = (features - layer["running_mean"]) * scale + layer["bias"]
        else:
            features = features @ layer["weight"].T + layer.get("bias", np.float32(0))
    return features.astype(np.float32)


def centred_unit(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Vectors relative to their mean, of length 1.

    All projected features share a large common part, as all text embeddings do; without it, what sets an image apart
    decides.
    """
    centred = vectors - vectors.mean(0) if len(vectors) > 1 else vectors
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)

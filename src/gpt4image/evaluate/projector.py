"""A run's projector: image features in the place of text embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from gpt4image.errors import RunError
from gpt4image.evaluate.record import load_features
from gpt4image.files import reading
from gpt4image.runs import PROJECTOR

if TYPE_CHECKING:
    from torch import nn

    from gpt4image.images import ImageSet


def project_images(
    run: Path,
    images: "ImageSet",
    digests: Sequence[str],
    features: Float32[np.ndarray, "n f"] | None = None,
    **how: Any,
) -> Float32[np.ndarray, "n d"]:
    """What the projector of a run makes of readable images.

    Args:
        run: a finished run.
        images: N readable images.
        digests: theirs.
        features: theirs if they are known; else those that an evaluation has kept, or computed.
        how: `batch_size`, `workers`, `device` of `predict`.

    Raises:
        RunError: the run has no projector.
    """
    from gpt4image.models.predict_run import predict_run

    projector = load_projector(run)
    if projector is None:
        raise RunError(
            f"{run} has no projector to text embeddings; give a run trained with descriptions (train --work)"
        )
    if features is None:
        features = load_features(run, digests)
    if features is None:
        features = predict_run(run, images, digests, label="looking", **how).features
    return project(projector, features)


def load_projector(run: Path) -> "nn.Module | None":
    """The projector of a run, None if it has none."""
    from safetensors.torch import load_file

    from gpt4image.train.objectives.projector import create_projector

    if not (run / PROJECTOR).exists():
        return None
    with reading(run / PROJECTOR):
        state = load_file(run / PROJECTOR)
        kind = "linear" if len(state) == 2 else "mlp"
        width, num_features = state["0.weight"].shape
        projector = create_projector(kind, num_features, width if kind == "linear" else width // 2, "1.bias" in state)
        projector.load_state_dict(state)
        return projector.eval()


def project(projector: "nn.Module", features: Float32[np.ndarray, "n f"]) -> Float32[np.ndarray, "n d"]:
    """Runs the projector over pooled image features."""
    import torch

    with torch.inference_mode():
        return projector(torch.from_numpy(features)).numpy()


def centred_unit(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Vectors relative to their mean, of length 1.

    All projected features share a large common part, as all text embeddings do; without it, what sets an image apart
    decides.
    """
    centred = vectors - vectors.mean(0) if len(vectors) > 1 else vectors
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)

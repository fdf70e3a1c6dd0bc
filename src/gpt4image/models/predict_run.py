"""What the model of a finished run says about an image set; of a frozen one, by features that are known already."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.images import ImageSet, scan_images
from gpt4image.models.frozen import find_frozen_of_run
from gpt4image.models.image_features import load_image_features
from gpt4image.models.predict import Outputs, predict
from gpt4image.runs import RunManifest, hash_digests, load_head, load_manifest, load_model


def predict_run(run: Path, images: ImageSet, digests: Sequence[str] | None = None, **how: Any) -> Outputs:
    """Runs the model of a finished run over readable images.

    Args:
        run: its folder.
        images: the images.
        digests: theirs, if they are known; their pixels or features are then shared with other runs.
        how: further arguments of `predict`.
    """
    manifest = load_manifest(run)
    if manifest.frozen and how.get("change") is None:
        digests = scan_images(images).digests if digests is None else digests
        return _predict_from_features(run, manifest, images, digests, **how)
    keep_as = hash_digests(digests) if digests is not None else ""
    return predict(load_model(run, manifest), images, manifest.data_config, keep_as=keep_as, **how)


def _predict_from_features(
    run: Path,
    manifest: RunManifest,
    images: ImageSet,
    digests: Sequence[str],
    device: str = "auto",
    workers: int | None = None,
    **how: Any,
) -> Outputs:
    """The head over features of the frozen backbone, which images of any run with that backbone share."""
    known = load_image_features(images, digests, find_frozen_of_run(run), device, workers)
    features = known.vectors[known.rows].astype(np.float32)
    weight, bias = load_head(run)
    return Outputs(features @ weight.T + bias, features)

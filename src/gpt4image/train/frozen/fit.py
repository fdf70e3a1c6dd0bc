"""Training with a frozen backbone: features come from the cache, the head is fitted to convergence in seconds."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpt4image import __version__
from gpt4image.errors import ImageSetError
from gpt4image.files import atomic_path
from gpt4image.images.cache import cache_folder
from gpt4image.models.create import create_model
from gpt4image.models.frozen import FrozenBackbone, find_frozen
from gpt4image.models.image_features import load_image_features
from gpt4image.models.tap import find_classifier
from gpt4image.runs import BACKBONE, HEAD, RunManifest
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.frozen.head import Head, ScaledFeatures, fit_head
from gpt4image.train.frozen.robust import fit_robust_head
from gpt4image.train.run_folder import MetricsLog, settings_to_dict
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.classes import compute_class_targets

_scaled: dict[str, ScaledFeatures] = {}


def fit_frozen(settings: TrainSettings, inputs: Inputs) -> float:
    """Fits the head and writes an ordinary run.

    Returns:
        The mean loss of the images that teach a class.

    Raises:
        ModelError: the backbone's weights cannot be had.
        ImageSetError: no image teaches a class.
    """
    start_s = time.monotonic()
    backbone = find_frozen(settings.model, settings.input_size, settings.init_weights, settings.model_kwargs)
    known = load_image_features(inputs.images, inputs.digests, backbone, settings.device, settings.workers)
    features = torch.from_numpy(known.vectors[known.rows].astype(np.float32))
    targets = torch.from_numpy(compute_class_targets(settings, inputs)[np.arange(len(inputs.images))])
    if not (targets.sum(1) > 0).any():
        raise ImageSetError(f"{settings.images} has no label to learn from; give --labels NAME (gpt4image label)")
    scaled = _scale(features, f"{backbone.identity} {inputs.digests_hash}")
    fit = fit_robust_head if settings.label_loss == "gce" else fit_head
    assert settings.balance != "sampler"
    head = fit(scaled, targets, settings.seed, settings.balance)
    log_p = head.compute_logits(features).log_softmax(1)
    loss = float(-(targets * log_p).sum() / targets.sum())
    metrics: dict[str, Any] = {"epoch": 1, "loss": loss, "penalty": head.penalty}
    if inputs.validation is not None:
        metrics["validation_top1"] = _compute_top1(settings, inputs, backbone, head)
    MetricsLog(settings.run, 0).write(metrics)
    _save(settings, inputs, backbone, head, time.monotonic() - start_s)
    return loss


def _scale(features: torch.Tensor, name: str) -> ScaledFeatures:
    """The features scaled; of one set at a time they are kept, as the runs of a comparison share them."""
    if name not in _scaled:
        _scaled.clear()
        _scaled[name] = ScaledFeatures(features)
    return _scaled[name]


def _compute_top1(settings: TrainSettings, inputs: Inputs, backbone: FrozenBackbone, head: Head) -> float:
    assert inputs.validation is not None
    place = backbone, settings.device, settings.workers
    known = load_image_features(inputs.validation, inputs.validation_digests, *place)
    logits = head.compute_logits(torch.from_numpy(known.vectors[known.rows].astype(np.float32)))
    return 100 * float((logits.argmax(1).numpy() == inputs.validation.labels).mean())


def _save(settings: TrainSettings, inputs: Inputs, backbone: FrozenBackbone, head: Head, seconds: float) -> None:
    from safetensors.torch import save_file

    size = backbone.data_config["input_size"][-1]
    model = create_model(settings.model, len(inputs.images.classes), size, kwargs=settings.model_kwargs)
    own = {id(value): name for name, value in model.state_dict(keep_vars=True).items()}
    classifier = find_classifier(model)
    names = {part: own[id(value)] for part, value in classifier.state_dict(keep_vars=True).items()}
    shapes = {part: value.shape for part, value in classifier.state_dict().items()}
    state = {names["weight"]: head.weight.reshape(shapes["weight"]), names["bias"]: head.bias}
    _link_backbone(settings.run / BACKBONE, backbone, set(own.values()) - set(state))
    with atomic_path(settings.run / HEAD) as temporary:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)
    RunManifest(
        model=settings.model,
        model_kwargs=dict(settings.model_kwargs),
        classes=list(inputs.images.classes),
        data_config={**backbone.data_config, "input_size": list(backbone.data_config["input_size"])},
        num_features=head.weight.shape[1],
        images=settings.images,
        num_images=len(inputs.images),
        num_described=inputs.num_described,
        digests_hash=inputs.digests_hash,
        unreadable=inputs.unreadable,
        labels={} if inputs.labels is None else inputs.labels.facts,
        frozen={"name": backbone.name, "identity": backbone.identity, "penalty": head.penalty},
        settings=settings_to_dict(settings),
        version=__version__,
        seconds=seconds,
    ).save(settings.run)


def _link_backbone(path: Path, backbone: FrozenBackbone, names: set[str]) -> None:
    """The backbone's weights stand once in the cache folder; runs link to them, or copy where links cannot be made."""
    from safetensors.torch import save_file

    shared = cache_folder() / "weights" / f"{backbone.name}.safetensors"
    if not shared.exists():
        state = {name: value for name, value in backbone.load().state_dict().items() if name in names}
        with atomic_path(shared) as temporary:
            save_file({name: value.contiguous() for name, value in state.items()}, temporary)
    path.unlink(missing_ok=True)
    try:
        os.link(shared, path)
    except OSError:
        shutil.copyfile(shared, path)

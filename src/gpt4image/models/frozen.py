"""Models that only look: pre-trained or trained before, and never changed."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import nn

from gpt4image.errors import ModelError
from gpt4image.models.create import create_model, find_input_size
from gpt4image.models.tap import find_classifier
from gpt4image.runs import MANIFEST, load_manifest, load_model


@dataclass(frozen=True)
class FrozenBackbone:
    """A model whose pooled features are used as they are.

    Attributes:
        name: of the model with the size of its input and the start of its identity, fit for a folder.
        identity: SHA-256 of its weights, without the classifier's, and of how its pixels are made.
        data_config: timm's description of its input.
        load: the model in evaluation mode; called only where an image's features are not known yet.
    """

    name: str
    identity: str
    data_config: Mapping[str, Any]
    load: Callable[[], nn.Module]


def find_frozen(
    model: str, input_size: int | None = None, weights: Path | None = None, kwargs: Mapping[str, Any] | None = None
) -> FrozenBackbone:
    """A model to look with.

    Args:
        model: a timm name with published weights (`tf_efficientnet_lite0` comes with the package), or a run's folder.
        input_size: side of its input in pixels; its own if None.
        weights: file with the weights of the timm model instead of the published ones.
        kwargs: further arguments of the timm model.

    Raises:
        ModelError: there is no such model, or its weights cannot be had.
    """
    if (Path(model) / MANIFEST).exists():
        backbone = find_frozen_of_run(Path(model))
        size = backbone.data_config["input_size"][-1]
        if input_size not in (None, size):
            raise ModelError(f"{model} was trained for {size} px; leave --input-size out")
        return backbone
    return _find_timm(model, input_size or find_input_size(model), weights, json.dumps(kwargs or {}))


@lru_cache(maxsize=2)
def _find_timm(model: str, size: int, weights: Path | None, kwargs: str) -> FrozenBackbone:
    from timm.data import resolve_data_config

    # The head is not looked at; two classes are as good as any number.
    network = create_model(model, 2, size, weights is None, json.loads(kwargs), weights).eval()
    return _describe(model, network, resolve_data_config({"input_size": (3, size, size)}, model=network))


def find_frozen_of_run(run: Path) -> FrozenBackbone:
    """The backbone of a finished run, as frozen as it is now."""
    manifest = load_manifest(run)
    if manifest.frozen:
        name, identity = manifest.frozen["name"], manifest.frozen["identity"]
        return FrozenBackbone(name, identity, manifest.data_config, lambda: load_model(run, manifest))
    return _describe(manifest.model, load_model(run, manifest), manifest.data_config)


def _describe(name: str, network: nn.Module, data_config: Mapping[str, Any]) -> FrozenBackbone:
    identity = _hash_backbone(network, data_config)
    folder = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)
    full = f"{folder}-{data_config['input_size'][-1]}-{identity[:8]}"
    return FrozenBackbone(full, identity, data_config, lambda: network)


def _hash_backbone(model: nn.Module, data_config: Mapping[str, Any]) -> str:
    head = {id(value) for value in find_classifier(model).state_dict(keep_vars=True).values()}
    digest = hashlib.sha256(json.dumps(data_config, sort_keys=True, default=str).encode())
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in head:
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

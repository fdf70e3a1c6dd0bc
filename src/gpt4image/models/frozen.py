"""Models that only look: pre-trained or trained before, and never changed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from gpt4image.errors import ModelError
from gpt4image.models.create import create_model, find_input_size
from gpt4image.runs import MANIFEST, load_manifest, load_model


@dataclass(frozen=True)
class FrozenModel:
    """A model whose pooled features are used as they are.

    Attributes:
        model: in evaluation mode.
        data_config: timm's description of its input.
        name: of the model with the size of its input, fit for a folder.
        identity: SHA-256 of its weights, without the classifier's, and of how its pixels are made.
    """

    model: nn.Module
    data_config: dict[str, Any]
    name: str
    identity: str


def load_frozen(model: str, input_size: int | None = None, weights: Path | None = None) -> FrozenModel:
    """Loads a model to look with.

    Args:
        model: a timm name with published weights (`tf_efficientnet_lite0` comes with the package), or a run's folder.
        input_size: side of its input in pixels; its own if None.
        weights: file with the weights of the timm model instead of the published ones.

    Raises:
        ModelError: there is no such model, or its weights cannot be had.
    """
    if (Path(model) / MANIFEST).exists():
        manifest = load_manifest(Path(model))
        network, config = load_model(Path(model), manifest), dict(manifest.data_config)
        if input_size not in (None, config["input_size"][-1]):
            raise ModelError(f"{model} was trained for {config['input_size'][-1]} px; leave --input-size out")
        name = manifest.model
    else:
        from timm.data import resolve_data_config

        size = input_size or find_input_size(model)
        network = create_model(model, 2, size, pretrained=weights is None, weights=weights)
        config, name = resolve_data_config({"input_size": (3, size, size)}, model=network), model
    identity = hash_backbone(network, config)
    folder = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)
    return FrozenModel(network.eval(), config, f"{folder}-{config['input_size'][-1]}-{identity[:8]}", identity)


def hash_backbone(model: nn.Module, data_config: Mapping[str, Any]) -> str:
    """SHA-256 over all weights but the classifier's, and how pixels are made: what is equal gives equal features."""
    from gpt4image.models.tap import find_classifier

    head = {id(value) for value in find_classifier(model).state_dict(keep_vars=True).values()}
    digest = hashlib.sha256(json.dumps(data_config, sort_keys=True, default=str).encode())
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in head:
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

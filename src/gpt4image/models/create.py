"""Image models: any timm classifier, or a user's own module, new or with weights to start from."""

import difflib
import importlib
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gpt4image.errors import ModelError
from gpt4image.models.embedded import EMBEDDED, find_embedded_weights
from gpt4image.models.tap import find_classifier

HEADS = ("head", "fc", "classifier", "head.fc")
"""What timm calls the last layer, where it does not say."""


def create_model(
    name: str,
    num_classes: int,
    input_size: int,
    pretrained: bool = False,
    kwargs: Mapping[str, Any] | None = None,
    weights: Path | None = None,
) -> nn.Module:
    """Creates a classifier.

    Args:
        name: a timm model name, `hf-hub:` or `local-dir:` included, or `import:PACKAGE.MODULE:FUNCTION` for a
            function of the user's own that takes `num_classes` (and `kwargs`) and returns an `nn.Module`.
        num_classes: number of logits.
        input_size: side of the square input in pixels; models with a fixed input size are built for it.
        pretrained: start from timm's published weights; those of `tf_efficientnet_lite0` come with the package.
        kwargs: further arguments of the model.
        weights: file to start from instead: safetensors, or a PyTorch file with a state dict or a checkpoint of timm's
            `train.py`. timm fits position embeddings to the input size; a head of other classes starts anew.

    Raises:
        ModelError: there is no such model, it does not accept the arguments, or the file does not hold its weights.
    """
    arguments = {"num_classes": num_classes, **(kwargs or {})}
    if name.startswith("import:"):
        model = _import_factory(name)(**arguments)
        if weights is not None:
            with _weights_errors(name, weights):
                model.load_state_dict(_read_weights(weights))
        return model
    import timm

    if ":" not in name and not timm.is_model(name.partition(".")[0]):
        raise ModelError(f"timm has no model {name!r}; {_suggest(name)}")
    if pretrained and weights is None and name == EMBEDDED:
        weights = find_embedded_weights()
    if weights is not None:
        with _weights_errors(name, weights):
            return _create_from_file(name, input_size, arguments, weights)
    try:
        created: Any = _create_timm_model(name, input_size, pretrained, arguments)
        if pretrained and num_classes != created.pretrained_cfg.get("num_classes"):
            _start_at_zero(created)
        return created
    except (RuntimeError, TypeError, ValueError, AssertionError, OSError) as error:
        raise ModelError(f"model {name!r} cannot be created: {error}") from error


def _create_timm_model(name: str, input_size: int, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    """Transformers are built for the input size; convolutional models do not know the argument `img_size`."""
    import timm

    if "img_size" in arguments:
        return timm.create_model(name, pretrained=pretrained, **arguments)
    try:
        return timm.create_model(name, pretrained=pretrained, img_size=input_size, **arguments)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
    return timm.create_model(name, pretrained=pretrained, **arguments)


def _create_from_file(name: str, input_size: int, arguments: dict[str, Any], weights: Path) -> Any:
    """Built with the file's number of classes, so that every weight must fit; then the head is changed."""
    import timm

    state = _read_weights(weights)
    config = timm.get_pretrained_cfg(name, allow_unregistered=True) if ":" not in name else None
    named = (config.classifier if config is not None else None) or HEADS
    heads = (named,) if isinstance(named, str) else named
    found = next((len(state[f"{head}.weight"]) for head in heads if f"{head}.weight" in state), 0)
    # The model keeps the overlay for good: it says where the weights are, not what they are.
    overlay = {"source": "", "file": str(weights), "num_classes": found, "custom_load": False, "label_offset": 0}
    own = {**arguments, "num_classes": found, "pretrained_cfg_overlay": overlay}
    model: Any = _create_timm_model(name, input_size, True, own)
    if found != arguments["num_classes"]:
        model.reset_classifier(arguments["num_classes"])
        _start_at_zero(model)
    return model


@torch.no_grad()
def _start_at_zero(model: nn.Module) -> None:
    """A new head on trained features starts without an opinion; timm's starts with a large one."""
    for value in find_classifier(model).parameters():
        value.zero_()


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A file's state dict; pickles with anything else in them are refused."""
    from timm.models import load_state_dict

    if not path.is_file():
        raise ModelError(f"there is no file {path}; give --init-weights a file with the weights of --model")
    return load_state_dict(str(path), weights_only=True)


@contextmanager
def _weights_errors(name: str, path: Path) -> Iterator[None]:
    """Says in one line what is wrong with a file of weights."""
    from safetensors import SafetensorError

    try:
        yield
    except (RuntimeError, SafetensorError, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error.__cause__, pickle.UnpicklingError):
            raise ModelError(f"{path} holds more than weights and is not loaded; save its state dict alone") from error
        raise ModelError(
            f"{path} does not hold the weights of {name} ({' '.join(str(error).split())[:200]}); give a whole file of "
            "that model, only the head may have other classes"
        ) from error


def find_input_size(name: str) -> int:
    """Side in pixels of the input that a timm model was published for; 224 where timm does not say."""
    import timm

    known = timm.get_pretrained_cfg(name, allow_unregistered=True) if ":" not in name else None
    return int(known.input_size[-1]) if known is not None else 224


def _import_factory(name: str) -> Any:
    module_name, _, attribute = name.removeprefix("import:").partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(f"{name!r} cannot be imported ({error}); write import:PACKAGE.MODULE:FUNCTION") from error


def _suggest(name: str) -> str:
    import timm

    close = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    return f"{hint}timm.list_models() names all"

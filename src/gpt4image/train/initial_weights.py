"""Weights to start from, and a warning where text has been measured to hurt."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from gpt4image.errors import ModelError
from gpt4image.progress import say
from gpt4image.train.settings import TrainSettings


def load_initial_weights(backbone: nn.Module, path: Path) -> None:
    """Loads weights; those of a head with other classes are left as they are.

    Args:
        backbone: is changed in place.
        path: safetensors, or a PyTorch file with a state dict (also under `state_dict` or `model`).

    Raises:
        ModelError: the file cannot be read or is of another model.
    """
    found = _read(path)
    own = backbone.state_dict()
    head = getattr(getattr(backbone, "pretrained_cfg", None), "get", lambda name: None)("classifier") or ()
    heads = (head,) if isinstance(head, str) else tuple(head)
    fitting = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    lacking = [name for name in own if name not in fitting and not name.startswith(heads or ("head", "fc"))]
    if lacking:
        raise ModelError(
            f"{path} lacks {len(lacking)} of the model's {len(own)} weights (such as {lacking[0]}); "
            "it must hold the weights of --model, only the head may differ"
        )
    backbone.load_state_dict(fitting, strict=False)


def _read(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        raise ModelError(f"{path} cannot be read as weights ({' '.join(str(error).split())[:200]})") from error
    except Exception as error:  # pickle's UnpicklingError: something other than weights is in the file
        raise ModelError(f"{path} holds more than weights and is not loaded; save its state dict alone") from error
    for name in ("state_dict", "model"):
        found = found.get(name, found) if isinstance(found.get(name), dict) else found
    return {name.removeprefix("module."): value for name, value in found.items()}


def warn_of_fine_tuning(settings: TrainSettings) -> None:
    """Says that text lowered the accuracy of a strong pre-trained model in the only published measurement."""
    if settings.uses_text and (settings.pretrained or settings.init_weights is not None):
        say(
            "warning: training starts from given weights; text that comes in only now lowered the accuracy of a strong "
            "pre-trained model by 4.4 points (TextTeacher, arXiv 2605.22098): compare with a run without --work"
        )

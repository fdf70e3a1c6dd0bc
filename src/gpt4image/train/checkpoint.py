"""Atomic checkpoints at the end of an epoch. Randomness needs no saving: it is a function of seed and position."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gpt4image.errors import RunError
from gpt4image.files import atomic_path, reading


def save_checkpoint(path: Path, epoch: int, parts: Mapping[str, Any]) -> None:
    """Writes the state dicts of `parts` after `epoch` finished epochs."""
    state = {name: part.state_dict() for name, part in parts.items()}
    with atomic_path(path) as temporary:
        torch.save({"epoch": epoch, "parts": state}, temporary)


def load_checkpoint(path: Path, parts: Mapping[str, Any]) -> int:
    """Loads the state dicts into `parts`; returns the number of finished epochs, 0 without a checkpoint.

    Raises:
        RunError: the checkpoint is damaged, or of another model.
    """
    if not path.exists():
        return 0
    with reading(path):
        saved = torch.load(path, map_location="cpu", weights_only=True)
        epoch, states = int(saved["epoch"]), saved["parts"]
    try:
        for name, part in parts.items():
            part.load_state_dict(states[name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise RunError(f"{path} is of another model ({error}); choose another run folder") from error
    return epoch

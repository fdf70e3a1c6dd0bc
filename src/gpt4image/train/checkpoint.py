"""What training writes of the network: checkpoints at the end of an epoch, and in the end what a finished run leaves.

Randomness needs no saving: it is a function of seed and position.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gpt4image import __version__
from gpt4image.errors import RunError
from gpt4image.files import atomic_path, reading
from gpt4image.runs import PROJECTOR, WEIGHTS, RunManifest
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.run_folder import settings_to_dict
from gpt4image.train.settings import TrainSettings
from gpt4image.train.setup import Setup


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


def save_artifacts(settings: TrainSettings, inputs: Inputs, setup: Setup, seconds: float) -> None:
    """Writes plain weights and the projector, and last the manifest, which marks the run as finished."""
    from safetensors.torch import save_file

    network = setup.final_network
    for name, module in ((WEIGHTS, network.backbone), (PROJECTOR, network.projector)):
        if module is not None:
            state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
            with atomic_path(settings.run / name) as temporary:
                save_file(state, temporary)
    RunManifest(
        model=settings.model,
        model_kwargs=dict(settings.model_kwargs),
        classes=list(inputs.images.classes),
        data_config={**setup.data_config, "input_size": list(setup.data_config["input_size"])},
        num_features=setup.num_features,
        images=settings.images,
        num_images=len(inputs.images),
        num_described=inputs.num_described,
        digests_hash=inputs.digests_hash,
        unreadable=inputs.unreadable,
        text=_describe_text_side(settings, inputs, setup),
        labels={} if inputs.labels is None else inputs.labels.facts,
        settings=settings_to_dict(settings),
        version=__version__,
        seconds=seconds,
    ).save(settings.run)


def _describe_text_side(settings: TrainSettings, inputs: Inputs, setup: Setup) -> dict[str, Any]:
    if not settings.uses_text:
        return {}
    table = {} if inputs.table is None else {"embeddings": str(inputs.table.folder), "table": inputs.table.manifest}
    projector = settings.projector if setup.plain_network.projector is not None else None
    return {**table, "objective": settings.objective, "projector": projector}

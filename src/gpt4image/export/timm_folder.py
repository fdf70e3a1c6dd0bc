"""The folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` loads."""

import shutil
from pathlib import Path
from typing import Any

from torch import nn

from gpt4image.errors import SettingsError, VerificationError
from gpt4image.runs import RunManifest


def write_timm_folder(model: nn.Module, manifest: RunManifest, folder: Path) -> None:
    """Writes `config.json` and `model.safetensors`.

    Raises:
        SettingsError: the model is not timm's.
    """
    from timm.models import save_for_hf

    if not hasattr(model, "pretrained_cfg"):
        raise SettingsError(
            f"{manifest.model} is not a timm model and cannot become a timm folder; "
            "the run's model.safetensors already is its plain state dict"
        )
    save_for_hf(
        model,
        str(folder),
        model_config={"label_names": manifest.classes},
        model_args=manifest.model_kwargs,
        safe_serialization=True,
        data_config=_as_timm(manifest.data_config),
    )
    # safetensors writes files that only their owner may read; the weights shall be as readable as their config.
    shutil.copymode(folder / "config.json", folder / "model.safetensors")


def load_timm_folder(folder: Path) -> nn.Module:
    """What somebody else gets who knows timm only."""
    import timm

    return timm.create_model(f"local-dir:{folder.resolve()}", pretrained=True).eval()


def check_parameter_names(folder: Path, plain: nn.Module) -> None:
    """Checks that the weights have exactly the plain model's names and shapes.

    Raises:
        VerificationError: they have not.
    """
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        found = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    expected = {name: tuple(value.shape) for name, value in plain.state_dict().items()}
    different = sorted(set(found.items()) ^ set(expected.items()))
    if different:
        name, shape = different[0]
        raise VerificationError(
            f"the exported weights are not those of the plain model: {len(different)} differ, such as {name} {shape}"
        )


def check_preprocessing(model: nn.Module, data_config: dict[str, Any]) -> None:
    """Checks that timm prepares images for the exported model as they were prepared in training.

    Raises:
        VerificationError: it does not.
    """
    from timm.data import resolve_model_data_config

    found = _as_timm(resolve_model_data_config(model))
    for name, value in _as_timm(data_config).items():
        if name in found and found[name] != value:
            raise VerificationError(f"the exported model says {name} is {found[name]}, it was trained with {value}")


def _as_timm(data_config: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data_config.items()}

"""What a finished run leaves: plain weights, the projector, and last the manifest."""

from typing import Any

from gpt4image import __version__
from gpt4image.files import atomic_path
from gpt4image.runs import PROJECTOR, WEIGHTS, RunManifest
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.run_folder import settings_to_dict
from gpt4image.train.settings import TrainSettings
from gpt4image.train.setup import Setup


def save_artifacts(settings: TrainSettings, inputs: Inputs, setup: Setup, seconds: float) -> None:
    """Writes the final network; the manifest marks the run as finished."""
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

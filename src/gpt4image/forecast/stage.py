"""The forecast: images and descriptions of some of them in, what describing all would bring and cost out."""

from dataclasses import dataclass
from pathlib import Path

from gpt4image.errors import DescriptionError
from gpt4image.forecast.result import ForecastResult

PILOT_SHARE, PILOT_EACH = 0.05, 10
"""A pilot is about a twentieth of the images, but ten of each class at least."""


@dataclass(frozen=True)
class ForecastSettings:
    """Say what describing all images would bring and cost, from a pilot: describe --limit makes one.

    Attributes:
        images: the training images: a folder with one sub-folder a class, a list, or fashion-mnist:1k
        work: work folder with descriptions of some of them, as many of each class
        prompt: only answers to these prompts; all descriptions, but no picks, if none is given
        encoder: text encoder, as for gpt4image embed; the pilot's texts are embedded with it
        usd_per_million_input: price of a million tokens read
        usd_per_million_output: price of a million tokens written
        device: PyTorch device, or auto
    """

    images: str
    work: Path
    prompt: tuple[str, ...] = ()
    encoder: str = "minilm"
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None
    device: str = "auto"


def forecast(settings: ForecastSettings) -> ForecastResult:
    """Embeds the pilot's texts, reads them, and applies the rule of `outlook`.

    Raises:
        DescriptionError: none of these images is described.
        EncoderError: the encoder cannot be loaded.
    """
    import numpy as np

    from gpt4image.describe.asking.cost import Prices
    from gpt4image.describe.asking.selection import select_images
    from gpt4image.describe.store.states import State
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.embed import EmbedSettings, embed
    from gpt4image.embed.table import EmbeddingTable
    from gpt4image.embed.text_embeddings import TextEmbeddings
    from gpt4image.forecast.outlook import look_out
    from gpt4image.forecast.pilot import measure_pilot
    from gpt4image.forecast.remaining import estimate_rest
    from gpt4image.images import open_images, scan_images
    from gpt4image.label.witness import Witness

    images = open_images(settings.images)
    scan = scan_images(images)
    chosen = select_images(images, scan)
    labels, digests = images.labels[chosen], [scan.digests[index] for index in chosen]
    _refuse_undescribed(settings, len(chosen), len(images.classes))
    with DescriptionStore.open(settings.work) as store:
        result = embed(
            EmbedSettings(
                settings.work,
                settings.encoder,
                settings.prompt,
                class_names=images.classes,
                device=settings.device,
            )
        )
        table = EmbeddingTable.open(result.folder)
        index = table.join(digests)
        described = np.flatnonzero(index.count)
        if len(described) == 0:
            raise DescriptionError(f"none of the descriptions in {settings.work} is about {settings.images}")
        prices = Prices(settings.usd_per_million_input, settings.usd_per_million_output)
        remaining = tuple(estimate_rest(store, table.rows, set(digests), prices))
        states = [store.counts(one.prompt, one.describer) for one in remaining]
    answered = sum(own.get(State.OK, 0) for own in states) / sum(sum(own.values()) for own in states)
    texts, names = TextEmbeddings(table, index).gather(described), table.class_vectors(images.classes)
    witness = Witness(images, chosen[described])
    pilot = measure_pilot(texts, labels[described], len(images.classes), names, witness)
    counts = np.bincount(labels[described][labels[described] >= 0], minlength=len(images.classes))
    num_labelled = int((labels >= 0).sum())
    return ForecastResult(
        images=len(chosen),
        labelled=num_labelled,
        described=len(described),
        fewest=int(counts.min()),
        answered=answered,
        pilot=pilot,
        outlook=look_out(pilot, num_labelled, len(chosen) - num_labelled, answered),
        remaining=remaining,
        told=tuple(dict.fromkeys(one.prompt for one in remaining if _names_class(one.prompt))),
    )


def _refuse_undescribed(settings: ForecastSettings, num_images: int, num_classes: int) -> None:
    from gpt4image.describe.store.connect import FILE_NAME

    if not (settings.work / FILE_NAME).exists():
        limit = min(num_images, max(round(PILOT_SHARE * num_images), PILOT_EACH * num_classes))
        raise DescriptionError(
            f"{settings.work} holds no descriptions yet; describe a pilot first: "
            f"gpt4image describe {settings.images} {settings.work} --limit {limit}"
        )


def _names_class(prompt: str) -> bool:
    from gpt4image.describe.prompts.presets import PRESETS

    base, _, version = prompt.partition("@")
    return base in PRESETS and version.isdigit() and "{class}" in PRESETS[base][int(version) - 1]

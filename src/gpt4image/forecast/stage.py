"""The forecast: images and descriptions of some of them in, what describing all would bring and cost out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpt4image.errors import DescriptionError
from gpt4image.forecast.result import ForecastResult

if TYPE_CHECKING:
    from gpt4image.forecast.remaining import Remaining
    from gpt4image.images import ImageSet

PILOT_SHARE, PILOT_EACH = 0.05, 10
"""A pilot is about a twentieth of the images, but ten of each class at least."""


@dataclass(frozen=True)
class ForecastSettings:
    """Say what describing all images would bring and cost, from a pilot: describe --limit makes one.

    Attributes:
        images: the training images: a folder with one sub-folder a class, a list, or fashion-mnist:1k
        work: work folder with descriptions or picks of some of them, as many of each class
        prompt: only descriptions of these prompts, or none; all if not given. Picks are always weighed with them
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
    """Embeds the pilot's texts, weighs them with picks and labels, and applies the rule of `outlook`.

    Raises:
        DescriptionError: none of these images is described.
        EncoderError: the encoder cannot be loaded.
        LabelError: there are fewer than two classes.
    """
    import numpy as np

    from gpt4image.embed import EmbedSettings, embed
    from gpt4image.forecast.outlook import look_out
    from gpt4image.forecast.pilot import find_described, measure_pilot, take_images
    from gpt4image.images import UNLABELLED
    from gpt4image.label.collect import collect
    from gpt4image.label.settings import LabelSettings
    from gpt4image.label.witnesses.prompts import choose_prompts

    classes = _open_described(settings).classes
    # What the images themselves say is left out: the question is what descriptions are worth.
    weighed = LabelSettings(settings.images, settings.work, prompts=settings.prompt, features="none")
    texts, picks = choose_prompts(settings.work, weighed.text_prompts, weighed.pick_prompts)
    if texts:
        ways = EmbedSettings(settings.work, settings.encoder, tuple(texts), class_names=classes, device=settings.device)
        weighed = replace(weighed, embeddings=embed(ways).folder.name)
    collected = collect(replace(weighed, prompts=tuple(texts) or ("none",)))
    once = np.sort(np.unique(collected.digests, return_index=True)[1])
    evidence = take_images(collected.evidence, once)
    described = np.flatnonzero(find_described(evidence))
    if len(described) == 0:
        raise DescriptionError(f"none of the descriptions in {settings.work} is about {settings.images}")
    pilot_evidence = take_images(evidence, described)
    pilot = measure_pilot(pilot_evidence)
    given = pilot_evidence.given[pilot_evidence.given != UNLABELLED]
    num_labelled = int((evidence.given != UNLABELLED).sum())
    # A pick that is a field of an answer was paid for with the description.
    asked = [*texts, *(pick.first for pick in picks if pick.first.replace(".class", "") not in texts)]
    remaining, answered = _look_at_rest(settings, asked, set(collected.digests))
    return ForecastResult(
        images=len(once),
        labelled=num_labelled,
        described=len(described),
        fewest=int(np.bincount(given, minlength=evidence.num_classes).min()),
        answered=answered,
        pilot=pilot,
        outlook=look_out(pilot, num_labelled, len(once) - num_labelled, answered),
        remaining=remaining,
        told=tuple(name for name in asked if _names_class(name)),
    )


def _open_described(settings: ForecastSettings) -> "ImageSet":
    from gpt4image.describe.store.connect import FILE_NAME
    from gpt4image.images import open_images

    images = open_images(settings.images)
    if not (settings.work / FILE_NAME).exists():
        limit = min(len(images), max(round(PILOT_SHARE * len(images)), PILOT_EACH * len(images.classes)))
        raise DescriptionError(
            f"{settings.work} holds no descriptions yet; describe a pilot first: "
            f"gpt4image describe {settings.images} {settings.work} --limit {limit}"
        )
    return images


def _look_at_rest(
    settings: ForecastSettings, prompts: Sequence[str], digests: set[str]
) -> tuple[tuple["Remaining", ...], float]:
    """What is missing, and the share of the asked images that got a usable answer."""
    from gpt4image.describe.asking.cost import Prices
    from gpt4image.describe.store.states import State
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.embed.sources import read_texts
    from gpt4image.forecast.remaining import estimate_rest

    prices = Prices(settings.usd_per_million_input, settings.usd_per_million_output)
    rows = read_texts(settings.work, prompts, None)
    with DescriptionStore.open(settings.work) as store:
        remaining = tuple(estimate_rest(store, rows, digests, prices))
        states = [store.counts(one.prompt, one.describer) for one in remaining]
    return remaining, sum(own.get(State.OK, 0) for own in states) / sum(sum(own.values()) for own in states)


def _names_class(prompt: str) -> bool:
    from gpt4image.describe.prompts.presets import PRESETS

    base, _, version = prompt.partition("@")
    return base in PRESETS and version.isdigit() and "{class}" in PRESETS[base][int(version) - 1]

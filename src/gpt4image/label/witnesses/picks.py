"""Picks: the class, the second choice and the confidence that a describer named, read from its answers."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gpt4image.describe.prompts.pick_names import PickNames
from gpt4image.embed.sources import read_texts
from gpt4image.images import UNLABELLED
from gpt4image.label.weigh import Picks
from gpt4image.label.weigh.evidence import NONE_OF_THESE
from gpt4image.label.witnesses.class_answer import match_class

NUMBER = re.compile(r"\d+(?:\.\d+)?")
WORDS = {"certain": 1.0, "very high": 0.95, "high": 0.9, "medium": 0.7, "moderate": 0.7, "low": 0.4, "very low": 0.2}
"""Confidence in words; only their order counts, `weigh` finds out what each is worth."""


def read_picks(
    work: Path, pick: PickNames, digests: Sequence[str], classes: Sequence[str], words: Mapping[str, str]
) -> list[Picks]:
    """What each describer picked, sample by sample.

    Args:
        work: the work folder.
        pick: the prompt and its companions.
        digests: of the images, in their order.
        classes: class names; an answer that names none of them, or several, is no pick.
        words: what classes are called in prompts, by class name; an answer may use either.
    """
    position: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        position.setdefault(digest, []).append(index)
    found: dict[tuple[str, int], Picks] = {}
    names = {"first": pick.first, "second": pick.second, "confidence": pick.confidence}
    for field, prompt in names.items():
        if prompt is None:
            continue
        texts = read_texts(work, (prompt,), None)
        columns = (texts[name].to_pylist() for name in ("digest", "describer", "sample", "text"))
        for digest, describer, sample, text in zip(*columns, strict=True):
            if digest not in position:
                continue
            if (describer, sample) not in found:
                found[describer, sample] = _no_picks(_name(prompt, describer, sample), len(digests))
            value = read_confidence(text) if field == "confidence" else name_class(text, classes, words)
            if field == "first" and value == UNLABELLED:
                value = NONE_OF_THESE
            getattr(found[describer, sample], field)[position[digest]] = value
    return [picks for picks in found.values() if (picks.first >= 0).any()]


def name_class(answer: str, classes: Sequence[str], words: Mapping[str, str]) -> int:
    """The class that an answer names by its name or by what it is called in prompts; `UNLABELLED` if none."""
    by_name = match_class(answer, classes)
    if by_name != UNLABELLED or not words:
        return by_name
    return match_class(answer, [words.get(name, name) for name in classes])


def read_confidence(text: str) -> float:
    """A number from 0 to 1 of `97`, `97 %`, `0.97` or `high`; NaN of anything else."""
    plain = text.strip().casefold()
    if plain in WORDS:
        return WORDS[plain]
    numbers = NUMBER.findall(plain)
    if len(numbers) != 1:
        return np.nan
    value = float(numbers[0])
    value = value / 100 if value > 1 or "%" in plain else value
    return value if value <= 1 else np.nan


def _name(prompt: str, describer: str, sample: int) -> str:
    return f"{prompt} by {describer}" + (f" #{sample}" if sample else "")


def _no_picks(name: str, num_images: int) -> Picks:
    none = np.full(num_images, UNLABELLED, dtype=np.int64)
    return Picks(name, none, none.copy(), np.full(num_images, np.nan, dtype=np.float32))

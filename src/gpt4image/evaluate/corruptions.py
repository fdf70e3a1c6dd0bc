"""Robustness: accuracy under the 15 common corruptions of test images (Hendrycks and Dietterich, arXiv 1903.12261).

The images are corrupted as the model would see them, resized and cropped, by the package imagecorruptions-imaug. Its
strengths were chosen for 224 px; small images lose more. Every image of a corruption gets the
same noise, except in `impulse_noise` and `glass_blur`, whose implementations draw anew each time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gpt4image.errors import RunError, SettingsError
from gpt4image.evaluate.paired import PairedDifference, compute_paired_difference
from gpt4image.evaluate.record import record_path
from gpt4image.files import atomic_path, reading, write_json

LEAST_SIDE = 32
"""Of an image in pixels; the package refuses smaller ones."""


@dataclass(frozen=True)
class Corruption:
    """One corruption at one severity (1 to 5), as a transform of PIL images."""

    name: str
    severity: int
    seed: int = 0

    def __call__(self, image: Image.Image) -> Image.Image:
        from imagecorruptions import corrupt

        kept = np.random.get_state()  # noqa: NPY002 (the package draws from the global state)
        np.random.seed(self.seed)  # noqa: NPY002
        try:
            return Image.fromarray(corrupt(np.asarray(image), severity=self.severity, corruption_name=self.name))
        finally:
            np.random.set_state(kept)  # noqa: NPY002


def list_corruptions(severities: Sequence[int]) -> Iterator[Corruption]:
    """The 15 common corruptions at each severity.

    Raises:
        SettingsError: the package is not installed, or a severity is not from 1 to 5.
    """
    if find_spec("imagecorruptions") is None:
        raise SettingsError("--corruptions needs imagecorruptions-imaug; pip install 'gpt4image[corruptions]'")
    if not severities or not all(1 <= severity <= 5 for severity in severities):
        raise SettingsError(f"--severities {' '.join(map(str, severities)) or '(none)'}: give some of 1 2 3 4 5")
    from imagecorruptions import get_corruption_names

    for name in get_corruption_names():
        yield from (Corruption(name, severity) for severity in severities)


def check_size(data_config: Mapping[str, Any]) -> None:
    """Refuses models whose input is too small for the corruptions."""
    side = data_config["input_size"][-1]
    if side < LEAST_SIDE:
        raise SettingsError(f"--corruptions needs a model input of at least {LEAST_SIDE} px; this one's is {side} px")


def corruptions_path(run: Path, name: str = "") -> Path:
    """`RUN/corruptions.json`, or `RUN/corruptions-NAME.json` for a further test set."""
    return record_path(run, "corruptions", name)


def save_corruptions(
    path: Path, correct: Mapping[Corruption, np.ndarray], digests: Sequence[str], identity: Mapping[str, str]
) -> dict[str, Any]:
    """Writes the measures, and beside them the share of corruptions under which each image is classified right.

    Args:
        path: of the record.
        correct: bool [N] of each corruption.
        digests: of the N images.
        identity: what the measures are of.
    """
    names = dict.fromkeys(corruption.name for corruption in correct)
    by_name = {
        name: 100 * float(np.mean([right.mean() for one, right in correct.items() if one.name == name]))
        for name in names
    }
    record = {
        "top1": float(np.mean(list(by_name.values()))),
        "by_corruption": by_name,
        "severities": sorted({corruption.severity for corruption in correct}),
        **identity,
    }
    with atomic_path(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez(file, correct=np.mean(list(correct.values()), axis=0), digests=np.array(digests, dtype="S64"))
    write_json(path, record)
    return record


def corruption_difference(runs: Sequence[Path], others: Sequence[Path]) -> PairedDifference:
    """Paired difference of the mean accuracy under corruptions, in points, with its interval.

    Raises:
        RunError: the runs were measured on different images.
    """
    shares, digests = [], []
    for run in (*runs, *others):
        path = corruptions_path(run).with_suffix(".npz")
        with reading(path), np.load(path, allow_pickle=False) as arrays:
            shares.append(arrays["correct"])
            digests.append(arrays["digests"].tolist())
    if any(one != digests[0] for one in digests):
        raise RunError(f"{runs[0]} and others were measured on different corrupted images; evaluate with --redo")
    return compute_paired_difference(np.stack(shares[: len(runs)]), np.stack(shares[len(runs) :]))

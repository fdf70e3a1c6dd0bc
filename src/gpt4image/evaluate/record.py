"""What an evaluation leaves in a run's folder: `evaluation.json` for people, arrays for the other stages."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import RunError, SettingsError
from gpt4image.files import atomic_path, read_json, reading
from gpt4image.runs import hash_weights

MEASURES = ("top1", "top5", "ece", "macro", "macro_f1")


@dataclass(frozen=True)
class Predictions:
    """A model's answers on one test set.

    Attributes:
        logits: float32 [N, C].
        labels: int64 [N], true classes.
        digests: SHA-256 of each image as 64 hex digits.
    """

    logits: np.ndarray
    labels: np.ndarray
    digests: list[str]

    @property
    def correct(self) -> np.ndarray:
        """Bool [N]: whether the class with the largest logit is the true one."""
        return self.logits.argmax(1) == self.labels


def record_path(run: Path, kind: str, name: str = "", suffix: str = ".json") -> Path:
    """`RUN/KIND.json`, or `RUN/KIND-NAME.json` for a further image set.

    Raises:
        SettingsError: the name cannot stand in a file name.
    """
    if not re.fullmatch(r"[\w.-]{0,100}", name):
        raise SettingsError(f"--name {name!r} cannot stand in a file name; use letters, digits, '.', '-' and '_'")
    return run / f"{kind}{name and '-'}{name}{suffix}"


def evaluation_path(run: Path, name: str = "") -> Path:
    """`RUN/evaluation.json`, or `RUN/evaluation-NAME.json` for a further test set."""
    return record_path(run, "evaluation", name)


def predictions_path(run: Path, name: str = "") -> Path:
    """`RUN/predictions.npz`, or `RUN/predictions-NAME.npz` for a further test set."""
    return record_path(run, "predictions", name, ".npz")


def features_path(run: Path, name: str = "") -> Path:
    """`RUN/features.npz`, or `RUN/features-NAME.npz` for a further test set."""
    return record_path(run, "features", name, ".npz")


def read_known(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of an earlier measurement if it is about the same things, such as weights and images; else None."""
    if not path.exists():
        return None
    record = read_json(path)
    return record if all(record.get(name) == value for name, value in identity.items()) else None


def read_measures(path: Path) -> dict[str, Any]:
    """What `evaluate` has written: measures in percent are numbers.

    Raises:
        DamagedFileError: one is not.
    """
    with reading(path):
        record = read_json(path)
        return record | {name: float(record[name]) for name in MEASURES if name in record}


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the predictions atomically."""
    digests = np.array(predictions.digests, dtype="S64")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, logits=predictions.logits, labels=predictions.labels, digests=digests)


def load_predictions(run: Path, name: str = "") -> Predictions:
    """Reads the predictions of a run.

    Raises:
        RunError: the run has not been evaluated.
    """
    path = predictions_path(run, name)
    if not path.exists():
        raise RunError(f"{path} does not exist; run gpt4image evaluate {run} IMAGES first")
    with reading(path), np.load(path, allow_pickle=False) as arrays:
        digests = [digest.decode() for digest in arrays["digests"].tolist()]
        return Predictions(arrays["logits"], arrays["labels"], digests)


def save_features(path: Path, features: np.ndarray, digests: Sequence[str], weights: str) -> None:
    """Writes pooled features, float32 [N, F], atomically, with the hash of the weights that they are of."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features, digests=np.array(digests, dtype="S64"), weights=weights)


def load_features(run: Path, digests: Sequence[str]) -> np.ndarray | None:
    """Pooled features, float32 [N, F], that an evaluation of these weights has kept; None unless of all images."""
    path = features_path(run)
    if not path.exists():
        return None
    with reading(path), np.load(path, allow_pickle=False) as arrays:
        places = {digest.decode(): place for place, digest in enumerate(arrays["digests"].tolist())}
        if not places.keys() >= set(digests) or arrays["weights"] != hash_weights(run):
            return None
        return arrays["features"][[places[digest] for digest in digests]]

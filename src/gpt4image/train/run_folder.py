"""The run's folder: settings that must not change between interruptions, and metrics as JSON lines."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gpt4image.errors import RunError
from gpt4image.files import write_text
from gpt4image.runs import CHECKPOINT, MANIFEST, METRICS, SETTINGS
from gpt4image.train.settings import TrainSettings

FREE = ("run", "workers", "device", "stop_after", "work", "embeddings", "tracker", "compile")
"""Settings that may differ when a run goes on: they do not change the result (texts are compared by content)."""


def settings_to_dict(settings: TrainSettings) -> dict[str, Any]:
    """The settings as plain values, paths as strings."""
    values = dataclasses.asdict(settings)
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def load_content(run: Path) -> dict[str, Any]:
    """What the inputs of a run held when it was begun (`claim_run`).

    Raises:
        RunError: the folder holds no settings.
    """
    path = run / SETTINGS
    if not path.exists():
        raise RunError(f"{path} is missing; without it nobody can tell whether images and texts are still the same")
    return yaml.safe_load(path.read_text(encoding="utf-8"))["content"]


def claim_run(settings: TrainSettings, content: dict[str, Any]) -> None:
    """Writes the settings of a new run, or checks that an existing one was made with the same.

    Args:
        settings: of this call.
        content: what the inputs hold, such as hashes; must be the same too.

    Raises:
        RunError: the folder holds a run with other settings or inputs.
    """
    path = settings.run / SETTINGS
    wanted = {"settings": settings_to_dict(settings), "content": content}
    if path.exists():
        check_settings(settings)
        _compare(load_content(settings.run), content, settings.run, "{} {}")
    elif settings.run.exists() and any(settings.run.iterdir()):
        raise RunError(f"{settings.run} is not empty and is no run; choose another folder")
    write_text(path, yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True))


def check_settings(settings: TrainSettings) -> None:
    """Checks that the run in the folder was begun with these settings.

    Raises:
        RunError: it was begun with others.
    """
    found = yaml.safe_load((settings.run / SETTINGS).read_text(encoding="utf-8"))["settings"]
    # A run begun before a setting existed has its default.
    found = {**settings_to_dict(TrainSettings(settings.images, settings.run)), **found}
    _compare(found, settings_to_dict(settings), settings.run, "--{} {}")


@contextmanager
def only_trainer(run: Path) -> Iterator[None]:
    """Keeps a second process from training the same run, such as a worker that outlived its killed launcher.

    The lock goes with the process, however that ends; where the system has no such locks, nothing is checked.

    Raises:
        RunError: another process trains this run.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = (run / CHECKPOINT).with_name(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"{run} is being trained by another process; wait for it, or stop it first") from error
        yield


def is_finished(run: Path) -> bool:
    """Whether all epochs are done; the manifest is written last."""
    return (run / MANIFEST).exists()


def _compare(found: dict[str, Any], wanted: dict[str, Any], run: Path, form: str) -> None:
    for name, value in wanted.items():
        if name not in FREE and found.get(name) != value:
            was = form.format(name.replace("_", "-"), found.get(name))
            raise RunError(f"{run} was begun with {was}, not {value}; choose another folder or the same settings")


class MetricsLog:
    """`metrics.jsonl`, one object an epoch; lines after the checkpoint are dropped when a run goes on."""

    def __init__(self, run: Path, finished_epochs: int) -> None:
        self.path = run / METRICS
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["epoch"] <= finished_epochs]
        write_text(self.path, "".join(line + "\n" for line in kept))

    def write(self, metrics: dict[str, Any]) -> None:
        """Appends one line."""
        rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in metrics.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")

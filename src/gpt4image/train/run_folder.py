"""The run's folder: settings that must not change between interruptions, and metrics as JSON lines."""

import dataclasses
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from gpt4image.errors import RunError
from gpt4image.files import damaged, find_left_over, write_text
from gpt4image.progress import say
from gpt4image.runs import CHECKPOINT, MANIFEST, METRICS, SETTINGS
from gpt4image.stopping import locked
from gpt4image.train.settings import TrainSettings

LAST_DIGITS = ("device", "compile", "deterministic")
"""Settings that change the last digits of what is computed, and nothing else."""
FREE = ("run", "workers", "stop_after", "work", "embeddings", "tracker", *LAST_DIGITS)
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
    return _load(run)["content"]


def load_begun(run: Path) -> dict[str, Any]:
    """The settings that a run was begun with; none where there is no run yet.

    Raises:
        RunError: the file of settings is damaged.
    """
    return _load(run)["settings"] if (run / SETTINGS).exists() else {}


def _load(run: Path) -> dict[str, dict[str, Any]]:
    path = run / SETTINGS
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise damaged(path, error) from error
    if not isinstance(values, dict) or not all(isinstance(values.get(part), dict) for part in ("settings", "content")):
        raise damaged(path, "it holds no settings and content")
    return values


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
    elif settings.run.exists() and set(settings.run.iterdir()) - set(find_left_over(settings.run, SETTINGS)):
        raise RunError(f"{settings.run} is not empty and is no run; choose another folder")
    write_text(path, yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True))


def check_settings(settings: TrainSettings) -> None:
    """Checks that the run in the folder was begun with these settings.

    Raises:
        RunError: it was begun with others.
    """
    found = _load(settings.run)["settings"]
    # A run begun before a setting existed has its default.
    found = {**settings_to_dict(TrainSettings(settings.images, settings.run)), **found}
    wanted = settings_to_dict(settings)
    _compare(found, wanted, settings.run, "--{} {}")
    changed = [
        f"{name} {found[name]} to {wanted[name]}" for name in LAST_DIGITS if found[name] not in (wanted[name], "auto")
    ]
    if changed and (settings.run / CHECKPOINT).exists() and not is_finished(settings.run):
        say(f"{settings.run} goes on with other last digits than it began with: {', '.join(changed)}")


def only_trainer(run: Path) -> AbstractContextManager[None]:
    """Keeps a second process from training the same run, such as a worker that outlived its killed launcher.

    Raises:
        RunError: another process trains this run.
    """
    return locked((run / CHECKPOINT).with_name(".lock"), f"{run} is being trained", RunError)


def is_finished(run: Path) -> bool:
    """Whether all epochs are done; the manifest is written last."""
    return (run / MANIFEST).exists()


def _compare(found: dict[str, Any], wanted: dict[str, Any], run: Path, form: str) -> None:
    for name, value in wanted.items():
        if name not in FREE and found.get(name) != value:
            was = form.format(name.replace("_", "-"), found.get(name))
            raise RunError(f"{run} was begun with {was}, not {value}; choose another folder or the same settings")


def _read_epoch(line: str) -> int:
    """The epoch of a line of metrics; 0 of a damaged one."""
    try:
        epoch = json.loads(line)["epoch"]
    except (ValueError, TypeError, LookupError):
        return 0
    return epoch if isinstance(epoch, int) else 0


class MetricsLog:
    """`metrics.jsonl`, one object an epoch; lines after the checkpoint are dropped when a run goes on."""

    def __init__(self, run: Path, finished_epochs: int) -> None:
        self.path = run / METRICS
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines() if self.path.exists() else []
        kept = [line for line in lines if (epoch := _read_epoch(line)) and epoch <= finished_epochs]
        write_text(self.path, "".join(line + "\n" for line in kept))

    def write(self, metrics: dict[str, Any]) -> None:
        """Appends one line."""
        rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in metrics.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")

"""The label stage: all that is known about each image in, what it most probably is out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt4image.label.result import LabelResult
from gpt4image.label.settings import LabelSettings


def label(settings: LabelSettings) -> LabelResult:
    """Weighs labels, picks, texts and images; does nothing if nothing has changed since.

    Raises:
        ImageSetError: the images cannot be used.
        LabelError: nothing at all is known about the classes, or another process writes labels of this name.
        DescriptionError: a prompt that was named has no answers or is not embedded.
    """
    from gpt4image.errors import LabelError
    from gpt4image.label.artifact import MANIFEST, labels_folder
    from gpt4image.label.collect import collect
    from gpt4image.label.write import write_labels
    from gpt4image.stopping import locked

    collected = collect(settings)
    folder = labels_folder(settings.work, settings.name)
    facts = _read_if_same(folder / MANIFEST, collected.inputs)
    redone = facts is None
    if facts is None:
        # Only who writes needs the lock: a work folder may be one that can only be read.
        with locked(settings.work / f".locks/labels.{settings.name}", f"{folder} is being written", LabelError):
            facts = write_labels(folder, settings, collected).manifest
    shown = ("num_images", "num_labelled", "states", "reliability", "confusions", "cannot_tell")
    return LabelResult(
        folder=folder,
        **{name: facts[name] for name in shown},
        num_unreadable=len(collected.unreadable),
        redone=redone,
    )


def _read_if_same(path: Path, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The manifest of labels that were made of the same inputs in the same way, and can be read."""
    import json

    from gpt4image.files import read_json
    from gpt4image.label.artifact import LabelTable, check_facts

    try:
        facts = check_facts(read_json(path))
        is_same = facts["inputs"] == json.loads(json.dumps(inputs, default=str))
        return facts if is_same and LabelTable(path.parent, facts).is_whole() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

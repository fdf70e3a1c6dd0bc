"""What classes are called in words, and what the user says about each: `--class-names FILE`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gpt4image.describe.replay.rows import read_rows
from gpt4image.errors import SettingsError


class ClassNames(NamedTuple):
    """What a file says about classes, by class.

    Attributes:
        names: in words.
        explanations: a sentence each; classes without one are left out.
    """

    names: Mapping[str, str]
    explanations: Mapping[str, str]


def read_class_names(path: Path | None) -> ClassNames:
    """Reads names and explanations of classes; nothing without a file.

    Args:
        path: a JSON object of class to name, or of class to `{"name": ..., "explanation": ...}`; or rows (CSV, JSON
            lines, Parquet) with `class`, `name` and, if there are any, `explanation`.

    Raises:
        SettingsError: the file has another form.
    """
    if path is None:
        return ClassNames({}, {})
    try:
        if path.suffix == ".json":
            given = json.loads(path.read_text(encoding="utf-8")).items()
            rows = [(str(name), about if isinstance(about, dict) else {"name": about}) for name, about in given]
        else:
            rows = [(str(row["class"]), row) for row in read_rows(path)]
        names = {name: str(about["name"]) for name, about in rows}
        explained = {name: str(about.get("explanation") or "").strip() for name, about in rows}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else repr(error)
        raise SettingsError(
            f"--class-names {path} cannot be used ({reason}); give a JSON object of class to name, or to an object "
            "with name and explanation, or a CSV with the columns class, name and perhaps explanation"
        ) from error
    return ClassNames(names, {name: sentence for name, sentence in explained.items() if sentence})

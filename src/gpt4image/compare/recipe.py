"""A comparison's recipe: one YAML file with images, descriptions, situations, arms and training settings."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gpt4image.compare.arms import find_arms
from gpt4image.errors import SettingsError
from gpt4image.models.trust import refuse_import
from gpt4image.train.settings import TrainSettings

LABEL_OPTIONS = ("keep_labels", "wrong_labels", "wrong_kind")
"""Settings of the label stage that make a situation."""


@dataclass(frozen=True)
class Situation:
    """Under which labels the arms are compared.

    Attributes:
        name: for tables and folders.
        prompts: whose descriptions are used; all of the store if empty. Where labels are few or wrong they must have
            been written by a describer that was not told the label.
        labels: how labels are hidden or spoilt: `keep_labels`, `wrong_labels`, `wrong_kind` of the label stage.
        train: training settings of the situation, such as `described`.
        arms: arms in this situation; the recipe's if empty.
    """

    name: str
    prompts: tuple[str, ...] = ()
    labels: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    arms: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The name as a folder's."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.name.lower())


@dataclass(frozen=True)
class Recipe:
    """What is compared.

    Attributes:
        title: heading of the report.
        images: training images.
        test_images: test images, used for the final numbers only.
        situations: one comparison each.
        arms: see `arms.ARMS`.
        seeds: runs an arm, with the seeds 0, 1, ...
        describe: settings of the describe stage, or empty if the work folder holds descriptions already.
        embed: settings of the embed stage.
        label: settings of the label stage, such as `features` and `picks`.
        retrieval_images: described images that are neither trained nor tested on; how often a description finds its
            image among them.
        work: work folder of an earlier describe; the comparison's own if not given.
        train: training settings of all arms.
    """

    title: str
    images: str
    test_images: str
    situations: tuple[Situation, ...] = (Situation("all labels"),)
    arms: tuple[str, ...] = ("aligned", "shuffled")
    seeds: int = 3
    describe: Mapping[str, Any] = field(default_factory=dict)
    embed: Mapping[str, Any] = field(default_factory=dict)
    label: Mapping[str, Any] = field(default_factory=dict)
    retrieval_images: str = ""
    work: Path | None = None
    train: Mapping[str, Any] = field(default_factory=dict)


def read_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        SettingsError: the file is missing or no recipe, or names a setting that does not exist.
    """
    if not path.is_file():
        raise SettingsError(f"there is no recipe {path}; see the folder recipes/ for examples")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} is no recipe; it must hold settings such as title, images and test_images")
    situations = tuple(_parse(Situation, entry, f"{path}: situation") for entry in values.pop("situations", []))
    recipe = _parse(Recipe, values | ({"situations": situations} if situations else {}), str(path))
    _check(recipe, path)
    return recipe


def _parse(kind: Any, values: dict[str, Any], where: str) -> Any:
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise SettingsError(f"{where} has the unknown setting {unknown[0]!r}; allowed are {', '.join(fields)}")
    required = [name for name, entry in fields.items() if entry.default is entry.default_factory is dataclasses.MISSING]
    missing = [name for name in required if name not in values]
    if missing:
        raise SettingsError(f"{where} lacks {', '.join(missing)}")
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if values.get("work"):
        plain["work"] = Path(values["work"])
    return kind(**plain)


def _check(recipe: Recipe, path: Path) -> None:
    names = {entry.name for entry in dataclasses.fields(TrainSettings)}
    for situation in recipe.situations:
        find_arms(list(situation.arms or recipe.arms))
        for train in (recipe.train, situation.train):
            refuse_import(train.get("model"), path)
        for name in (*recipe.train, *situation.train):
            if name not in names:
                raise SettingsError(f"{path}: train has the unknown setting {name!r}; see gpt4image train --help-all")
        for name in situation.labels:
            if name not in LABEL_OPTIONS:
                raise SettingsError(
                    f"{path}: labels has the unknown setting {name!r}; choose {', '.join(LABEL_OPTIONS)}"
                )
    if len({situation.folder for situation in recipe.situations}) != len(recipe.situations):
        raise SettingsError(f"{path}: two situations have the same name; give each its own")
    if recipe.seeds < 1:
        raise SettingsError(f"{path}: seeds is {recipe.seeds}; it must be at least 1")

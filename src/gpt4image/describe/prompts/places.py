"""Fills the places of prompts, such as `{class}`, with what is known about an image."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from gpt4image.describe.prompts.parse import Prompt
from gpt4image.describe.replay.rows import read_rows
from gpt4image.errors import SettingsError
from gpt4image.files import read_json
from gpt4image.images import UNLABELLED, ImageSet


class Places:
    """What each image puts into a prompt: `{class}`, `{classes}` and the columns of its list."""

    def __init__(self, images: ImageSet, class_names: Mapping[str, str] | None = None) -> None:
        given = class_names or {}
        self._images = images
        self._names = [given.get(name, name.replace("_", " ")) for name in images.classes]

    def render(self, prompt: Prompt, index: int) -> str:
        """The words of a prompt for one image."""
        return prompt.render({place: self._value(place, index) for place in prompt.places})

    def _value(self, place: str, index: int) -> str:
        if place == "class":
            return self._names[int(self._images.labels[index])]
        value = ", ".join(self._names) if place == "classes" else self._images.columns[place][index]
        return "" if value is None else str(value)

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Checks that every place can be filled for every image.

        Raises:
            SettingsError: a place is unknown, or an image without a class would need one.
        """
        known = {"class", "classes", *self._images.columns}
        for prompt in prompts:
            if unknown := prompt.places - known:
                raise SettingsError(
                    f"--prompt {prompt.name} has the place {{{min(unknown)}}}; these images have "
                    f"{', '.join(f'{{{name}}}' for name in sorted(known))}"
                )
            num_unlabelled = int((self._images.labels == UNLABELLED).sum())
            if "class" in prompt.places and num_unlabelled:
                raise SettingsError(
                    f"--prompt {prompt.name} names the class, but {num_unlabelled} images of "
                    f"{self._images.source} have none; label them, or use a prompt without {{class}}, such as detailed"
                )


def read_class_names(path: Path | None) -> dict[str, str]:
    """Reads what classes are called in words: a JSON object, or rows with `class` and `name`.

    Raises:
        SettingsError: the file has another form.
    """
    if path is None:
        return {}
    try:
        pairs = read_json(path) if path.suffix == ".json" else {row["class"]: row["name"] for row in read_rows(path)}
        return {str(name): str(words) for name, words in pairs.items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"--class-names {path} cannot be used ({error!r}); give a JSON object of folder name to words, "
            "or a CSV with the columns class and name"
        ) from error

"""Fills the places of prompts, such as `{class}`, with what is known about an image."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from gpt4image.describe.prompts.fields import NONE_OF_THEM
from gpt4image.describe.prompts.parse import Prompt
from gpt4image.errors import SettingsError
from gpt4image.images import UNLABELLED, ImageSet


class Places:
    """What each image puts into a prompt: `{class}`, `{classes}` and the columns of its list.

    Args:
        images: the images.
        class_names: what classes are called in words; classes that the images lack are listed, too.
        explanations: a sentence about a class, which stands beside its name where the classes are listed.

    Attributes:
        names: of all classes, in words.
    """

    def __init__(
        self,
        images: ImageSet,
        class_names: Mapping[str, str] | None = None,
        explanations: Mapping[str, str] | None = None,
    ) -> None:
        given = class_names or {}
        self._images, self._explanations = images, explanations or {}
        self.names = {name: given.get(name, name.replace("_", " ")) for name in (*images.classes, *given)}

    def render(self, prompt: Prompt, index: int, order: str = "", candidates: Sequence[str] | None = None) -> str:
        """The words of a prompt for one image.

        Args:
            prompt: what is asked.
            index: position of the image.
            order: on this the order of listed classes depends, so that the place in the list does not decide;
                without it they come as they are.
            candidates: classes to list instead of the prompt's own.
        """
        columns = self._images.columns
        values = {place: columns[place][index] for place in prompt.places - {"class", "classes"}}
        values = {place: "" if value is None else str(value) for place, value in values.items()}
        if "class" in prompt.places:
            values["class"] = self.names[self._images.classes[int(self._images.labels[index])]]
        if "classes" in prompt.places:
            values["classes"] = self._list((prompt.choices or self.names) if candidates is None else candidates, order)
        return prompt.render(values)

    def _list(self, classes: Iterable[str], order: str) -> str:
        """Names in one line; a line each if any is explained, or has a comma in it."""
        if order:
            classes = sorted(classes, key=lambda name: hashlib.sha256(f"{order} {name}".encode()).digest())
        texts = [": ".join(filter(None, (self.names[name], self._explanations.get(name)))) for name in classes]
        if any("," in self.names[name] or name in self._explanations for name in classes):
            return "\n" + "".join(f"- {text}\n" for text in texts)
        return ", ".join(texts) or NONE_OF_THEM

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
            if "classes" in prompt.places and not self.names:
                raise SettingsError(
                    f"--prompt {prompt.name} lists the classes, but {self._images.source} has none; name them: "
                    "--class-names FILE, a JSON object of class to name, or a CSV with the columns class and name"
                )
            num_unlabelled = int((self._images.labels == UNLABELLED).sum())
            if "class" in prompt.places and num_unlabelled:
                raise SettingsError(
                    f"--prompt {prompt.name} names the class, but {num_unlabelled} images of "
                    f"{self._images.source} have none; label them, or use a prompt without {{class}}, such as detailed"
                )

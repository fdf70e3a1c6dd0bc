"""The tree of errors. Every mistake a user can make is one of these: one line on stderr, exit status 2."""

import re
from typing import Any


class Gpt4ImageError(Exception):
    """Base class. The message says what is wrong, what is allowed, and what to do next, on one line.

    The words of a library that it quotes may have had several.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(re.sub(r"\s*[\n\r]\s*", " ", message))


class SettingsError(Gpt4ImageError):
    """A setting has a value that is not allowed, or two settings contradict each other."""


def check_least(settings: Any, **least: int) -> None:
    """Refuses settings that are given and below what they must be, such as `workers=0`.

    Raises:
        SettingsError: it names the first of them.
    """
    for name, value in least.items():
        given = getattr(settings, name)
        if given is not None and given < value:
            raise SettingsError(f"--{name.replace('_', '-')} is {given}; it must be at least {value}")


class ImageSetError(Gpt4ImageError):
    """An image set cannot be opened, is empty, or does not fit the other inputs."""


class UnreadableImageError(Gpt4ImageError):
    """One image cannot be decoded. Stages record it by key and go on."""


class DescriptionError(Gpt4ImageError):
    """Descriptions are missing, contradictory, or belong to other images."""


class EndpointError(Gpt4ImageError):
    """An endpoint cannot be used at all (refused, unknown model, not allowed)."""


class UnavailableError(EndpointError):
    """An endpoint cannot be used for now: what was answered is kept, and the same command goes on later.

    Exit status 4.
    """


class EncoderError(Gpt4ImageError):
    """A text encoder is unknown, not installed, or not the model it claims to be."""


class ModelError(Gpt4ImageError):
    """An image model is unknown or cannot be trained with this method."""


class RunError(Gpt4ImageError):
    """A run folder is missing, incomplete, or was made with other settings."""


class DamagedFileError(RunError, ValueError):
    """A file that one of the stages has written cannot be read any more; it can be made anew."""


class VerificationError(Gpt4ImageError):
    """An exported model does not compute what the trained model computes."""


class LabelError(Gpt4ImageError):
    """Weighed labels are missing, of other images, or cannot be made from what is known."""

"""API keys and headers: each from where the user said, for the endpoint it is meant for, and no other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.errors import SettingsError
from gpt4image.shown import note_key

NO_KEY = "none"
"""Local servers want some key and take any; as the name of a variable it stands for no key."""
USUAL = "OPENAI_API_KEY"
USUAL_HOST = "openai.com"


@dataclass(frozen=True)
class Key:
    """Where a key comes from.

    Attributes:
        env: the environment variable.
        file: the file, if it stands in one.
    """

    env: str = NO_KEY
    file: Path | None = None

    def read(self) -> str:
        """The key as it is now; "" if there is none.

        Raises:
            SettingsError: the file cannot be read, or what is there cannot be a key.
        """
        if self.file is None:
            return _clean(os.environ.get(self.env, ""), f"--api-key-env {self.env}") if self.env != NO_KEY else ""
        try:
            return _clean(self.file.read_text(encoding="utf-8"), f"--api-key-file {self.file}")
        except (OSError, ValueError) as error:
            raise SettingsError(f"--api-key-file {self.file} cannot be read: {error}") from error


def choose_keys(options: EndpointOptions) -> list[Key]:
    """The key of each endpoint.

    `OPENAI_API_KEY`, which may lie around for another service, goes to OpenAI alone where several hosts are asked.

    Raises:
        SettingsError: there are neither one nor as many keys as endpoints, or a variable that was named is not set.
    """
    flag = "--api-key-file" if options.api_key_file else "--api-key-env"
    given: Sequence[object] = options.api_key_file or options.api_key_env
    if len(given) not in (1, len(options.urls)):
        raise SettingsError(
            f"{flag} names {len(given)} keys for {len(options.urls)} endpoints; give one, or one for each in their "
            "order ('none' for an endpoint without a key)"
        )
    if options.api_key_file:
        return [Key(file=file) for file in options.api_key_file * (len(options.urls) if len(given) == 1 else 1)]
    for name in options.api_key_env:
        if name not in (USUAL, NO_KEY) and name not in os.environ:
            raise SettingsError(f"--api-key-env {name} names an environment variable that is not set; export it first")
    if options.api_key_env != (USUAL,):
        return [Key(name) for name in options.api_key_env * (len(options.urls) if len(given) == 1 else 1)]
    is_alone = len({urlsplit(url).hostname for url in options.urls}) == 1
    return [Key(USUAL if is_alone or is_usual_host(url) else NO_KEY) for url in options.urls]


def is_usual_host(url: str) -> bool:
    """Whether the URL is OpenAI's, whom the usual variables (`OPENAI_API_KEY`, `OPENAI_ORG_ID`) are meant for."""
    return f".{urlsplit(url).hostname}".endswith(f".{USUAL_HOST}")


def read_headers(options: EndpointOptions) -> dict[str, str]:
    """Headers whose values stand in environment variables, as NAME=VARIABLE.

    Raises:
        SettingsError: one is not of that form, its variable is not set or no header's value, or several hosts
            would get it.
    """
    if options.header and len({urlsplit(url).hostname for url in options.urls}) > 1:
        raise SettingsError("--header goes with endpoints of one host, so that no other gets its value; use two runs")
    found = {}
    for header in options.header:
        name, mark, variable = header.partition("=")
        if not mark or not name.strip().replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise SettingsError(f"--header {name} must be NAME=ENVIRONMENT_VARIABLE, such as api-key=AZURE_KEY")
        if variable not in os.environ:
            raise SettingsError(
                f"--header {name}=...: what follows the = must name an environment variable that is set; "
                "the value itself would be seen by everybody on this machine"
            )
        found[name.strip()] = _clean(os.environ[variable], f"--header {name}={variable}")
    return found


def _clean(value: str, source: str) -> str:
    """A key without the spaces and line ends that copying adds."""
    value = value.strip()
    for position, character in enumerate(value):
        if not character.isascii() or not character.isprintable():
            raise SettingsError(
                f"{source} holds {character!r} as character {position + 1}, which no key has; copy it again"
            )
    note_key(value)
    return value

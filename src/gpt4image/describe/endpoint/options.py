"""How endpoints are asked: which, with what key, within which limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gpt4image.describe.asking.reply import AnswerFrom
from gpt4image.errors import SettingsError


@dataclass(frozen=True)
class EndpointOptions:
    """What a process must know to ask endpoints.

    Attributes:
        urls: base URLs that share the work.
        model: the model's name there.
        extra: fields of every request that are the user's own; null leaves a field out.
        api_key_env: environment variables with the API keys: one for all endpoints, or one for each.
        api_key_file: files with the API keys instead, read again when they change.
        header: further headers as NAME=ENVIRONMENT_VARIABLE.
        ca_file: certificates of the authorities to be trusted beside the usual ones.
        timeout_s: seconds until an unanswered request counts as failed.
        retries: further attempts after a passing failure.
        max_wait_s: longest wait for an endpoint that asks to wait, or is not there.
        in_flight: requests at once, None to adapt to the endpoints.
        requests_per_minute: limit of the endpoints' plan.
        tokens_per_minute: limit of the plan, tokens read and written together.
        answer_from: where the answer stands if the content is empty.
    """

    urls: tuple[str, ...]
    model: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    api_key_env: tuple[str, ...] = ("OPENAI_API_KEY",)
    api_key_file: tuple[Path, ...] = ()
    header: tuple[str, ...] = ()
    ca_file: Path | None = None
    timeout_s: float = 180.0
    retries: int = 5
    max_wait_s: float = 600.0
    in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    answer_from: AnswerFrom = "content"

    @classmethod
    def take_from(cls, settings: Any, **others: Any) -> "EndpointOptions":
        """The options that stand in settings under the same name, and others."""
        same = {one.name: getattr(settings, one.name) for one in fields(cls) if hasattr(settings, one.name)}
        return cls(**same | others)

    def share(self, number: int) -> "EndpointOptions":
        """The options of one of `number` processes: each has its part of what all may do together."""
        names = ("in_flight", "requests_per_minute", "tokens_per_minute")
        parts = {name: max(limit // number, 1) for name in names if (limit := getattr(self, name))}
        return replace(self, **parts)


def parse_extra_body(text: str | None) -> dict[str, Any]:
    """Reads the fields of every request that are the user's own.

    Raises:
        SettingsError: they are no JSON object.
    """
    try:
        extra = json.loads(text or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise SettingsError(f'--extra-body {text!r} must be a JSON object such as {{"top_p": 0.9}}')
    return extra

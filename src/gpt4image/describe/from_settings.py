"""What the settings say, as the small values that the rooms take: what is wanted, who answers, when to stop."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.asking.describer import Describer
from gpt4image.describe.asking.missing import Request, Thinking, Wanted
from gpt4image.describe.asking.selection import select_images
from gpt4image.describe.asking.stop_rules import MaxFailures, StopRules
from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.prompts.class_names import read_class_names
from gpt4image.describe.prompts.parse import Prompt, parse_prompts
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.prompts.shortlists import fit_to_classes
from gpt4image.describe.replay.rows import require_file
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet, Scan

POSITIVE = (
    "samples",
    "max_tokens",
    "image_size",
    "in_flight",
    "requests_per_minute",
    "tokens_per_minute",
    "timeout_s",
    "max_wait",
    "limit",
    "budget_usd",
    "deadline_s",
    "batch_size",
    "ray_workers",
)
FIRST_TOKENS_IN = 1500
"""Tokens of an image and a prompt, before any was measured."""


def check_settings(settings: DescribeSettings) -> None:
    """Checks what can be checked without opening anything.

    Raises:
        SettingsError: a value is not allowed, or one is missing.
        DescriptionError: the file to replay cannot be used.
    """
    for name in POSITIVE:
        value = getattr(settings, name)
        if value is not None and value <= 0:
            raise SettingsError(f"--{name.replace('_', '-')} {value} must be more than 0")
    if settings.retries < 0:
        raise SettingsError(f"--retries {settings.retries} must be 0 or more")
    if settings.describer == "replay":
        if settings.file is None:
            raise SettingsError("--describer replay needs --file with the descriptions: .jsonl, .csv or .parquet")
        require_file(settings.file)
    elif settings.model is None:
        raise SettingsError(f"--describer {settings.describer} needs --model with the model's name")
    if settings.budget_usd is not None and None in (settings.usd_per_million_input, settings.usd_per_million_output):
        raise SettingsError("--budget-usd needs --usd-per-million-input and --usd-per-million-output")
    if (path := settings.emit_batch) and (settings.describer != "endpoint" or not path.parent.is_dir()):
        raise SettingsError(f"--emit-batch {path} needs --describer endpoint and a file in a folder that exists")


def read_wanted(settings: DescribeSettings, images: ImageSet, scan: Scan) -> Wanted:
    """What shall be described, and how.

    Raises:
        SettingsError: a prompt, schema or class name file cannot be used with these images.
    """
    if settings.describer == "replay":
        prompts = [Prompt(name, "") for name in settings.field]
    else:
        prompts = parse_prompts(settings.prompt, _read_schema(settings.schema))
    places = Places(images, *read_class_names(settings.class_names))
    places.check(prompts)
    return Wanted(
        images=images,
        scan=scan,
        indices=select_images(images, scan, settings.limit),
        prompts=fit_to_classes(prompts, places.names),
        places=places,
        samples=settings.samples,
        describer=settings.describer_name or _describer_name(settings),
        request=Request(settings.max_tokens, settings.image_size, Thinking(settings.thinking)),
        retry_failed=settings.retry_failed,
        is_seeded=settings.samples > 1,
    )


def _describer_name(settings: DescribeSettings) -> str:
    """The describer's name in the store; of a model in a folder, the folder's name, wherever it lies."""
    if settings.describer == "replay" or settings.model is None:
        return settings.describer
    return Path(settings.model).name if Path(settings.model).is_dir() else settings.model


def _read_schema(path: Path | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--schema {path} cannot be read as JSON: {error}") from error
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise SettingsError(
            f"--schema {path} must be a JSON schema of an object: {{'type': 'object', 'properties': ...}}"
        )
    return schema


def choose_describer(settings: DescribeSettings) -> Describer:
    """Who answers.

    Raises:
        SettingsError: an endpoint is no URL, or the fields of the user's own are no JSON object.
        EndpointError: an endpoint is not allowed.
    """
    if settings.describer == "replay":
        from gpt4image.describe.replay.describer import ReplayDescriber

        assert settings.file is not None
        return ReplayDescriber(settings.file)
    assert settings.model is not None
    if settings.describer == "local" and settings.on == "ray":
        from gpt4image.describe.local.vllm import VllmDescriber

        return VllmDescriber(settings.model, read_extra_fields(settings), settings.ray_address, settings.ray_workers)
    if settings.describer == "local":
        from gpt4image.describe.local.describer import LocalDescriber

        return LocalDescriber(settings.model, settings.device, settings.temperature, settings.batch_size)
    return _choose_endpoint(settings, settings.model)


def _choose_endpoint(settings: DescribeSettings, model: str) -> Describer:
    from gpt4image.describe.endpoint.describer import EndpointDescriber
    from gpt4image.describe.endpoint.on_ray import RayDescriber
    from gpt4image.describe.endpoint.options import EndpointOptions
    from gpt4image.describe.endpoint.privacy import check_endpoints

    check_endpoints(settings.endpoint, settings.allow_remote)
    keys = settings.api_key_env
    options = EndpointOptions(
        urls=settings.endpoint,
        model=model,
        extra=read_extra_fields(settings),
        api_key_env=(keys,) if isinstance(keys, str) else keys,
        api_key_file=tuple(map(Path, settings.api_key_file)),
        header=settings.header,
        ca_file=settings.ca_file,
        timeout_s=settings.timeout_s,
        retries=settings.retries,
        max_wait_s=settings.max_wait,
        in_flight=settings.in_flight,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        answer_from=settings.answer_from,
    )
    if settings.on == "ray":
        return RayDescriber(options, settings.ray_address, settings.ray_workers)
    return EndpointDescriber(options)


def read_extra_fields(settings: DescribeSettings) -> dict[str, Any]:
    """The fields of every request that are the user's own.

    Raises:
        SettingsError: they are no JSON object.
    """
    from gpt4image.describe.endpoint.options import parse_extra_body

    given = {} if settings.temperature is None else {"temperature": settings.temperature}
    return given | parse_extra_body(settings.extra_body)


def make_rules(settings: DescribeSettings) -> StopRules:
    """When to stop."""
    return StopRules(
        tally=Tally(read_prices(settings)),
        first_guess=(FIRST_TOKENS_IN, settings.max_tokens),
        budget_usd=settings.budget_usd,
        deadline_s=settings.deadline_s,
        max_failures=MaxFailures.parse(settings.max_failures),
    )


def read_prices(settings: DescribeSettings) -> Prices:
    """What tokens cost."""
    return Prices(settings.usd_per_million_input, settings.usd_per_million_output)

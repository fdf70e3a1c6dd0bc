"""Makes of the settings what the describe stage wants: which images, which prompts, asked how."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt4image.describe.asking.missing import Request, Thinking, Wanted
from gpt4image.describe.asking.selection import select_images
from gpt4image.describe.prompts.parse import parse_prompts
from gpt4image.describe.prompts.places import Places, read_class_names
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet, Scan


def want(settings: DescribeSettings, images: ImageSet, scan: Scan) -> tuple[Wanted, Places]:
    """Reads what is wanted, and how the prompts' places are filled.

    Raises:
        SettingsError: a prompt, schema or class name file cannot be used with these images.
    """
    prompts = parse_prompts(settings.prompt, _read_schema(settings.schema))
    places = Places(images, read_class_names(settings.class_names))
    places.check(prompts)
    wanted = Wanted(
        images=images,
        scan=scan,
        indices=select_images(images, scan, settings.limit),
        prompts=prompts,
        samples=settings.samples,
        describer=describer_name(settings),
        request=Request(settings.max_tokens, settings.image_size, Thinking(settings.thinking)),
        retry_failed=settings.retry_failed,
    )
    return wanted, places


def describer_name(settings: DescribeSettings) -> str:
    """The describer's name in the store; of a model in a folder, the folder's name, wherever it lies."""
    if settings.describer_name:
        return settings.describer_name
    model = settings.model or settings.describer
    return Path(model).name if Path(model).is_dir() else model


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

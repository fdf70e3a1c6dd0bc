"""Checks the settings of the describe stage before any work."""

from gpt4image.describe.replay.rows import require_file
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import SettingsError

POSITIVE = (
    "samples",
    "max_tokens",
    "image_size",
    "in_flight",
    "requests_per_minute",
    "tokens_per_minute",
    "timeout_s",
    "limit",
    "budget_usd",
    "deadline_s",
    "batch_size",
    "ray_workers",
)


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
        if settings.plan:
            raise SettingsError("--plan is for describers that are asked; --describer replay costs nothing")
    elif settings.model is None:
        raise SettingsError(f"--describer {settings.describer} needs --model with the model's name")
    if settings.budget_usd is not None and None in (settings.usd_per_million_input, settings.usd_per_million_output):
        raise SettingsError("--budget-usd needs --usd-per-million-input and --usd-per-million-output")
    if (path := settings.emit_batch) and (settings.describer != "endpoint" or not path.parent.is_dir()):
        raise SettingsError(f"--emit-batch {path} needs --describer endpoint and a file in a folder that exists")

"""Stage 1: a description of every image, into the store."""

from gpt4image.describe.result import DescribeResult
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import SettingsError

__all__ = ["DescribeResult", "DescribeSettings", "describe"]


def describe(settings: DescribeSettings) -> DescribeResult:
    """Writes descriptions into `settings.work`; those that are there already are kept.

    Raises:
        ImageSetError: the images cannot be opened.
        DescriptionError: the descriptions are about other images.
        SettingsError: settings are missing or not allowed.
    """
    if settings.describer != "replay":
        raise SettingsError(f"--describer {settings.describer} is unknown; choose replay")
    if settings.file is None:
        raise SettingsError("--describer replay needs --file with the descriptions: .jsonl, .csv or .parquet")
    from gpt4image.describe.registration import register_images
    from gpt4image.describe.replay import replay
    from gpt4image.describe.rows import require_file
    from gpt4image.describe.store import DescriptionStore
    from gpt4image.images import open_images, scan_images

    require_file(settings.file)
    images = open_images(settings.images)
    scan = scan_images(images)
    with DescriptionStore.open(settings.work, create=True) as store:
        counts = replay(images, scan, store, settings.file, settings.field, "replay")
        register_images(images, scan, store, settings.field, "replay")
        other = counts.rows_about_other_images
        return DescribeResult(
            store=store.path,
            images=len(images),
            kept=counts.kept,
            new=counts.new,
            redone=counts.redone,
            states={prompt: store.counts(prompt, "replay") for prompt in settings.field},
            unreadable=scan.errors,
            notes=(f"{other} rows of {settings.file} are about other images",) if other else (),
        )

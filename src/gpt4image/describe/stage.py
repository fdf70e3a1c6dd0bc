"""Stage 1: a description of every image, into the store."""

from gpt4image.describe.result import DescribeResult
from gpt4image.describe.settings import DescribeSettings

__all__ = ["DescribeResult", "DescribeSettings", "describe"]


def describe(settings: DescribeSettings) -> DescribeResult:
    """Writes descriptions into `settings.work`; those that are there already are kept.

    Raises:
        ImageSetError: the images cannot be opened.
        DescriptionError: the descriptions of a file are about other images.
        EndpointError: the endpoint is of no use, or not allowed.
        SettingsError: settings are missing or not allowed.
    """
    from gpt4image.describe.checks import check_settings

    check_settings(settings)
    if settings.describer == "replay":
        return _replay(settings)
    return _ask(settings)


def _replay(settings: DescribeSettings) -> DescribeResult:
    from gpt4image.describe.registration import register_images
    from gpt4image.describe.replay import replay
    from gpt4image.describe.store import DescriptionStore
    from gpt4image.images import open_images, scan_images

    assert settings.file is not None
    images = open_images(settings.images)
    scan = scan_images(images)
    describer = settings.describer_name or "replay"
    with DescriptionStore.open(settings.work, create=True) as store:
        counts = replay(images, scan, store, settings.file, settings.field, describer)
        register_images(images, scan, store, settings.field, describer)
        other = counts.rows_about_other_images
        return DescribeResult(
            store=store.path,
            images=len(images),
            kept=counts.kept,
            new=counts.new,
            redone=counts.redone,
            states={prompt: store.counts(prompt, describer) for prompt in settings.field},
            unreadable=scan.errors,
            notes=(f"{other} rows of {settings.file} are about other images",) if other else (),
        )


def _ask(settings: DescribeSettings) -> DescribeResult:
    from gpt4image.describe.ask import ask_for_missing
    from gpt4image.describe.registration import register_images, remember_prompts
    from gpt4image.describe.store import DescriptionStore
    from gpt4image.describe.want import want
    from gpt4image.images import open_images, scan_images

    images = open_images(settings.images)
    scan = scan_images(images)
    wanted, places = want(settings, images, scan)
    with DescriptionStore.open(settings.work, create=True) as store:
        remember_prompts(store, wanted.prompts)
        register_images(images, scan, store, [prompt.name for prompt in wanted.prompts], wanted.describer)
        return ask_for_missing(settings, wanted, places, store)

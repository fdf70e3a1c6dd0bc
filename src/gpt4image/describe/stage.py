"""Stage 1: a description of every image, into the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpt4image.describe.event_loop import outside_event_loops
from gpt4image.describe.result import DescribeResult
from gpt4image.describe.settings import DescribeSettings
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.describe.asking.missing import Wanted
    from gpt4image.describe.exchange.emit import EmitResult
    from gpt4image.describe.plan import PlanResult
    from gpt4image.describe.prompts.places import Places
    from gpt4image.describe.store.store import DescriptionStore

__all__ = ["DescribeResult", "DescribeSettings", "describe", "describe_command", "emit_requests", "plan_descriptions"]


def describe_command(settings: DescribeSettings) -> StageResult:
    """The command `gpt4image describe`: describes, or with `--plan` or `--emit-batch` only prepares."""
    if settings.plan:
        return plan_descriptions(settings)
    return emit_requests(settings) if settings.emit_batch else describe(settings)


@outside_event_loops
def describe(settings: DescribeSettings) -> DescribeResult:
    """Writes descriptions into `settings.work`; those that are there already are kept.

    Raises:
        ImageSetError: the images cannot be opened.
        DescriptionError: the descriptions of a file are about other images.
        EndpointError: the endpoint is of no use, or not allowed.
        ModelError: the local model cannot be loaded.
        SettingsError: settings are missing or not allowed.
    """
    if settings.describer == "replay":
        return _replay(settings)
    from gpt4image.describe.ask import ask_for_missing

    with _opened(settings) as (wanted, places, store):
        return ask_for_missing(settings, wanted, places, store)


@outside_event_loops
def plan_descriptions(settings: DescribeSettings) -> "PlanResult":
    """Says what `describe` would do and cost; measures with a few real requests, whose answers are kept.

    Raises:
        as `describe` does.
    """
    from gpt4image.describe.plan import make_plan

    with _opened(settings) as (wanted, places, store):
        return make_plan(settings, wanted, places, store)


def emit_requests(settings: DescribeSettings) -> "EmitResult":
    """Writes what `describe` would ask as batch files; `import_descriptions` takes the answers.

    Raises:
        as `describe` does.
    """
    from gpt4image.describe.exchange.emit import emit_batch

    with _opened(settings) as (wanted, places, store):
        return emit_batch(settings, wanted, places, store)


@contextmanager
def _opened(settings: DescribeSettings) -> "Iterator[tuple[Wanted, Places, DescriptionStore]]":
    """The images that are wanted, and the store that knows them."""
    from gpt4image.describe.asking.wanted import want
    from gpt4image.describe.checks import check_settings
    from gpt4image.describe.store.registration import register_images, remember_prompts
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.images import open_images, scan_images

    check_settings(settings)
    images = open_images(settings.images)
    scan = scan_images(images)
    wanted, places = want(settings, images, scan)
    with DescriptionStore.open(settings.work, create=True) as store:
        remember_prompts(store, wanted.prompts)
        register_images(images, scan, store, [prompt.name for prompt in wanted.prompts], wanted.describer)
        yield wanted, places, store


def _replay(settings: DescribeSettings) -> DescribeResult:
    from gpt4image.describe.checks import check_settings
    from gpt4image.describe.replay.describer import replay
    from gpt4image.describe.store.registration import register_images
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.images import open_images, scan_images

    check_settings(settings)
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

"""Stage 1: a description of every image, into the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpt4image.describe.event_loop import outside_event_loops
from gpt4image.describe.result import DescribeResult
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import DescriptionError, SettingsError
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.describe.asking.missing import Wanted
    from gpt4image.describe.exchange.batch import EmitResult
    from gpt4image.describe.plan import PlanResult
    from gpt4image.describe.store.store import DescriptionStore

__all__ = ["DescribeResult", "DescribeSettings", "describe", "describe_command", "emit_requests", "plan_descriptions"]

USUAL_IN_FLIGHT = 32
LOCK = ".locks/descriptions"


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
        DescriptionError: the descriptions of a file are about other images, or another process describes.
        EndpointError: the endpoint is of no use, or not allowed.
        ModelError: the local model cannot be loaded.
        SettingsError: settings are missing or not allowed.
    """
    with _opened(settings) as (wanted, store):
        return _fill(settings, wanted, store)


@outside_event_loops
def plan_descriptions(settings: DescribeSettings) -> "PlanResult":
    """Says what `describe` would do and cost; measures with a few real requests, whose answers are kept.

    Raises:
        as `describe` does.
    """
    from gpt4image.describe.from_settings import read_prices
    from gpt4image.describe.plan import make_plan

    if settings.describer == "replay":
        raise SettingsError("--plan is for describers that are asked; --describer replay costs nothing")
    in_flight = 1 if settings.describer == "local" else settings.in_flight or USUAL_IN_FLIGHT
    with _opened(settings) as (wanted, store):
        return make_plan(wanted, store, lambda few: _fill(settings, few, store), read_prices(settings), in_flight)


def emit_requests(settings: DescribeSettings) -> "EmitResult":
    """Writes what `describe` would ask as batch files; `import_descriptions` takes the answers.

    Raises:
        as `describe` does.
    """
    from gpt4image.describe.exchange.batch import emit_batch
    from gpt4image.describe.from_settings import read_extra_fields

    assert settings.emit_batch is not None
    with _opened(settings) as (wanted, store):
        fields = {"model": settings.model} | read_extra_fields(settings)
        return emit_batch(wanted, store, settings.emit_batch, fields, settings.batch_url)


@contextmanager
def _opened(settings: DescribeSettings) -> "Iterator[tuple[Wanted, DescriptionStore]]":
    """What is wanted, and the store, which knows the images and the words of the prompts then."""
    from gpt4image.describe.from_settings import check_settings, read_wanted
    from gpt4image.describe.store.registration import register_images, remember_prompts
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.images import open_images, scan_images
    from gpt4image.stopping import locked

    check_settings(settings)
    images = open_images(settings.images)
    # Two at once would ask for the same descriptions, and pay twice.
    with locked(settings.work / LOCK, f"{settings.work} is being described", DescriptionError):
        scan = scan_images(images)
        wanted = read_wanted(settings, images, scan)
        with DescriptionStore.open(settings.work, create=True) as store:
            remember_prompts(store, wanted.prompts)
            register_images(images, scan, store, [prompt.name for prompt in wanted.prompts], wanted.describer)
            yield wanted, store


def _fill(settings: DescribeSettings, wanted: "Wanted", store: "DescriptionStore") -> DescribeResult:
    """Lets the describer answer what the store does not have yet, and sums up."""
    from gpt4image.describe.asking.record import Recorder
    from gpt4image.describe.from_settings import choose_describer, make_rules
    from gpt4image.progress import say, track

    label, total, rules, stopped = "replaying descriptions", len(wanted.images), make_rules(settings), ""
    if settings.describer != "replay":
        counted = wanted.count(store)
        label, total, rules.tally.kept = "describing", counted["new"] + counted["redo"], counted["kept"]
        if total:
            say(f"{counted['kept']} descriptions kept, {counted['new']} new, {counted['redo']} to be redone")
    if total:
        describer = choose_describer(settings)
        with track(label, total) as tracker:
            model = settings.model if settings.describer == "endpoint" else None
            recorder = Recorder(store, wanted.describer, rules, tracker, model)
            for part in wanted.rounds():
                stopped = stopped or describer.answer(part, recorder)
    return DescribeResult.of_run(wanted, store, rules.tally, stopped)

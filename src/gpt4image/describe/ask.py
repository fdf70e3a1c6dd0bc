"""Asks the chosen describer for every description that is missing."""

from collections.abc import Iterator

from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.asking.missing import Ask, Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.stop_rules import MaxFailures, StopRules
from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.result import DescribeResult
from gpt4image.describe.settings import DescribeSettings
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.images import ImageSet
from gpt4image.progress import say, track

FIRST_TOKENS_IN = 1500
"""Tokens of an image and a prompt, before any was measured."""


def ask_for_missing(
    settings: DescribeSettings, wanted: Wanted, places: Places, store: DescriptionStore
) -> DescribeResult:
    """Asks for what the store does not have yet, or for the chosen states to be repaired."""
    counted = wanted.count(store)
    tally = Tally(Prices(settings.usd_per_million_input, settings.usd_per_million_output))
    stopped = ""
    if counted["new"] + counted["redo"]:
        say(f"{counted['kept']} descriptions kept, {counted['new']} new, {counted['redo']} to be redone")
        asks = wanted.asks(store)
        with track("describing", counted["new"] + counted["redo"]) as tracker:
            recorder = Recorder(store, wanted.describer, tally, make_rules(settings, tally), tracker)
            stopped = ask_describer(settings, asks, wanted.images, places, recorder)
    return make_result(wanted, store, tally, counted["kept"], stopped)


def ask_describer(
    settings: DescribeSettings, asks: Iterator[Ask], images: ImageSet, places: Places, recorder: Recorder
) -> str:
    """Asks the describer of the settings; returns why it stopped early, or ""."""
    if settings.describer == "local" and settings.on == "ray":
        from gpt4image.describe.local.vllm import ask_vllm

        return ask_vllm(settings, asks, images, places, recorder)
    if settings.describer == "local":
        from gpt4image.describe.local.describer import ask_local_model

        return ask_local_model(settings, asks, images, places, recorder)
    from gpt4image.describe.endpoint.describer import ask_endpoints

    return ask_endpoints(settings, asks, images, places, recorder)


def make_rules(settings: DescribeSettings, tally: Tally) -> StopRules:
    """The stop rules of the settings."""
    first_guess = (FIRST_TOKENS_IN, settings.max_tokens)
    limit = MaxFailures.parse(settings.max_failures)
    return StopRules(tally, first_guess, settings.budget_usd, settings.deadline_s, limit)


def make_result(wanted: Wanted, store: DescriptionStore, tally: Tally, kept: int, stopped: str) -> DescribeResult:
    """What the run did, from its tally and the store."""
    return DescribeResult(
        store=store.path,
        images=len(wanted.images),
        kept=kept,
        new=tally.new,
        redone=tally.redone,
        states={prompt.name: store.counts(prompt.name, wanted.describer) for prompt in wanted.prompts},
        unreadable=wanted.scan.errors,
        tokens_in=tally.tokens_in,
        tokens_out=tally.tokens_out,
        usd=tally.usd,
        stopped=stopped,
    )

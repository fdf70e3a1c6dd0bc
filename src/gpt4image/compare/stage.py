"""The compare stage: a recipe in, `comparison.json` and, by the room above, the report out."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.compare.settings import CompareSettings
from gpt4image.errors import SettingsError
from gpt4image.files import read_json, write_json
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from gpt4image.compare.lineup import Lineup
    from gpt4image.compare.recipe import Recipe, Situation

COMPARISON = "comparison.json"
REPORT = "index.html"
WriteReport = Callable[[Path], Path]
"""Writes the report of a comparison's folder; it comes from a room above."""


@dataclass(frozen=True)
class CompareResult(StageResult):
    """What the comparison shows.

    Attributes:
        comparison: the content of comparison.json.
        report: the HTML report; None if none was to be written.
        num_new: runs trained by this call.
    """

    comparison: dict[str, Any]
    report: Path | None
    num_new: int

    def lines(self) -> Iterator[Any]:
        from gpt4image.compare.table import corruption_lines, make_table, retrieval_lines

        for situation in self.comparison["situations"]:
            yield make_table(situation)
            yield from situation["left_out"]
            yield from corruption_lines(situation)
            yield from retrieval_lines(situation)
            yield situation["verdict"]
        if not self.num_new:
            yield "all runs were finished already; nothing was done again"
        if self.report:
            yield f"report: {self.report}"


def compare(settings: CompareSettings, write_report: WriteReport | None = None) -> CompareResult:
    """Runs what a recipe says and has not been run yet, then summarises.

    Args:
        settings: recipe and folder.
        write_report: writes a report of the folder; called if anything is new, or no report is there.

    Raises:
        SettingsError: the recipe cannot be used.
    """
    from gpt4image.compare.recipe import read_recipe

    recipe = read_recipe(settings.recipe)
    situations = _chosen_situations(recipe, settings.situations)
    if settings.arms:
        situations = tuple(dataclasses.replace(situation, arms=settings.arms) for situation in situations)
    recipe = dataclasses.replace(recipe, seeds=settings.seeds or recipe.seeds, situations=situations)
    return run_recipe(recipe, settings.out, settings.jobs, settings.device, settings.corruptions, write_report)


def run_recipe(
    recipe: "Recipe",
    out: Path,
    jobs: int | None = None,
    device: str = "auto",
    corruptions: bool = False,
    write_report: WriteReport | None = None,
    pool: "ProcessPoolExecutor | None" = None,
) -> CompareResult:
    """Describes, embeds, trains and evaluates what is not done yet; writes comparison.json, and the report.

    Several recipes may share a pool of `start_pool`, with as many processes as `count_jobs` says.
    """
    from gpt4image.compare.lineup import draw_up, wants_texts
    from gpt4image.compare.plan import check_labels_learnt, is_done, plan_labels, plan_runs
    from gpt4image.compare.runner import compute_shared_features, run_jobs, start_pool, weigh_labels
    from gpt4image.compare.summary import summarise
    from gpt4image.progress import track

    work = recipe.work or out / "work"
    if wants_texts(recipe):
        _describe(recipe, work)
    lineups = draw_up(recipe, work)
    texts = {"work": work, "embeddings": _embed(recipe, work, lineups, device)}
    planned = plan_runs(recipe, out, lineups, texts, device, corruptions)
    are_done = [is_done(job) for job in planned]
    missing = [job for job, done in zip(planned, are_done, strict=True) if not done]
    num_processes = min(count_jobs(jobs, device), max(len(missing), 1))
    own = pool is None or num_processes == 1
    with start_pool(num_processes) if own else nullcontext(pool) as workers:
        labels = plan_labels(recipe, lineups, texts, device)
        with track("weighing labels", len(labels)) as tracker:
            for settings in weigh_labels(labels, workers):
                tracker.advance(note=settings.name)
        check_labels_learnt([job for job, done in zip(planned, are_done, strict=True) if done and job.twin is None])
        if missing:
            compute_shared_features(missing)
            with track("training and evaluating runs", sum(job.twin is None for job in missing)) as tracker:
                for job in run_jobs(missing, workers, num_processes):
                    tracker.advance(int(job.twin is None), note=job.label)
    comparison, report = summarise(out, recipe, lineups), out / REPORT
    if is_new := not _is_known(out / COMPARISON, comparison):
        write_json(out / COMPARISON, comparison)
    if write_report and (is_new or not report.exists()):
        report = write_report(out)
    return CompareResult(comparison, report if write_report else None, len(missing))


def _chosen_situations(recipe: "Recipe", names: tuple[str, ...]) -> "tuple[Situation, ...]":
    known = {situation.name: situation for situation in recipe.situations}
    for name in names:
        if name not in known:
            raise SettingsError(f"the recipe has no situation {name!r}; it has {', '.join(known)}")
    return tuple(known[name] for name in names) or recipe.situations


def _describe(recipe: "Recipe", work: Path) -> None:
    from gpt4image.describe import DescribeSettings, describe

    if recipe.describe:
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in recipe.describe.items()}
        values |= {name: Path(values[name]) for name in values.keys() & {"file"}}
        for images in filter(None, (recipe.images, recipe.retrieval_images)):
            describe(DescribeSettings(images=images, work=work, **values))


def _embed(recipe: "Recipe", work: Path, lineups: "Sequence[Lineup]", device: str) -> str:
    """Embeds all that any situation needs; returns the name of the embeddings."""
    from gpt4image.embed import EmbedSettings, embed
    from gpt4image.images import open_images

    lineups = [lineup for lineup in lineups if any(arm.uses_text for arm in lineup.arms.values())]
    if not lineups:
        return ""
    prompts = tuple(dict.fromkeys(prompt for lineup in lineups for prompt in lineup.prompts))
    if not all(lineup.prompts for lineup in lineups):
        prompts = ()
    classes = open_images(recipe.images).classes
    values: dict[str, Any] = {"prompt": prompts, "class_names": classes, "device": device}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in recipe.embed.items()}
    settings = EmbedSettings(work=work, **values | given)
    embed(settings)
    return settings.folder.name


def _is_known(path: Path, comparison: dict[str, Any]) -> bool:
    """Whether the file says the same, but for the time."""
    new = json.loads(json.dumps(comparison, default=str))
    return path.exists() and {**read_json(path), "created": None} == {**new, "created": None}


def count_jobs(jobs: int | None, device: str = "auto") -> int:
    """Runs at once: as many as wanted, or one a core on a CPU, one on an accelerator.

    Raises:
        SettingsError: that is none, or there is no such device.
    """
    from gpt4image.models.machine import choose_device

    if jobs is not None and jobs < 1:
        raise SettingsError(f"--jobs is {jobs}; it must be at least 1")
    return jobs or (os.cpu_count() or 1 if choose_device(device).type == "cpu" else 1)

"""The compare stage: a recipe in, `comparison.json` and, by the room above, the report out."""

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    from gpt4image.compare.runner import Job
    from gpt4image.label import LabelSettings

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
    from gpt4image.compare.runner import compute_shared_features, run_jobs, start_pool, weigh_labels
    from gpt4image.compare.summary import summarise
    from gpt4image.progress import track

    work = recipe.work or out / "work"
    if wants_texts(recipe):
        _describe(recipe, work)
    lineups = draw_up(recipe, work)
    texts = {"work": work, "embeddings": _embed(recipe, work, lineups, device)}
    planned = _plan(recipe, out, lineups, texts, device, corruptions)
    missing = [job for job in planned if not _is_done(job)]
    num_processes = min(count_jobs(jobs), max(len(missing), 1))
    own = pool is None or num_processes == 1
    with start_pool(num_processes) if own else nullcontext(pool) as workers:
        labels = _labels(recipe, lineups, texts, device)
        with track("weighing labels", len(labels)) as tracker:
            for settings in weigh_labels(labels, workers):
                tracker.advance(note=settings.name)
        if missing:
            compute_shared_features(missing)
            with track("training and evaluating runs", len(missing)) as tracker:
                for job in run_jobs(missing, workers, num_processes):
                    tracker.advance(note=job.label)
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


def _plan(
    recipe: "Recipe",
    out: Path,
    lineups: "Sequence[Lineup]",
    texts: Mapping[str, Any],
    device: str,
    corruptions: bool,
) -> "list[Job]":
    """All runs, seed by seed, so that an interrupted comparison has whole seeds."""
    from gpt4image.compare.arms import BASELINE
    from gpt4image.compare.runner import Job
    from gpt4image.compare.summary import run_folder
    from gpt4image.train.settings import TrainSettings

    planned = []
    for seed, (number, lineup) in itertools.product(range(recipe.seeds), enumerate(lineups)):
        situation = lineup.situation
        for name, arm in lineup.arms.items():
            values: dict[str, Any] = {
                **recipe.train,
                **situation.train,
                **arm.overrides,
                "seed": seed,
                "device": device,
            }
            values |= {"work": texts["work"], "labels": labels_name(situation, arm.method, seed)}
            if arm.uses_text:
                values |= {**texts, "prompts": lineup.prompts}
            if arm.needs_baseline:
                values["teacher"] = out / run_folder(situation, BASELINE, seed)
            settings = TrainSettings(images=recipe.images, run=out / run_folder(situation, name, seed), **values)
            after = values["teacher"] if arm.needs_baseline else None
            planned.append(Job(number, name, settings, recipe.test_images, after, corruptions, recipe.retrieval_images))
    return planned


def _labels(
    recipe: "Recipe", lineups: "Sequence[Lineup]", texts: Mapping[str, Any], device: str
) -> "list[LabelSettings]":
    """What is weighed: labels of every situation, seed and method, once for all arms that learn them."""
    from gpt4image.label import LabelSettings

    wanted = []
    for seed, lineup in itertools.product(range(recipe.seeds), lineups):
        prompts, embeddings = lineup.prompts or ("none",), texts["embeddings"] or None
        values: dict[str, Any] = {"device": device, **recipe.label, **lineup.situation.labels, "seed": seed}
        for method in dict.fromkeys(arm.method for arm in lineup.arms.values()):
            name = labels_name(lineup.situation, method, seed)
            values |= {"method": method, "embeddings": embeddings}
            wanted.append(LabelSettings(recipe.images, texts["work"], name, prompts, **values))
    return wanted


def labels_name(situation: "Situation", method: str, seed: int) -> str:
    """Name of the labels in the work folder."""
    return f"{situation.folder}-seed{seed}" + ("" if method == "weighed" else f"-{method}")


def _is_done(job: "Job") -> bool:
    """Whether a run is trained, with these settings, and evaluated on these images."""
    from gpt4image.evaluate.corruptions import corruptions_path
    from gpt4image.evaluate.record import evaluation_path, read_known
    from gpt4image.evaluate.retrieval import has_text_projector, retrieval_path
    from gpt4image.train.processes import resolve_machine
    from gpt4image.train.run_folder import check_settings, is_finished

    run = job.settings.run
    if not is_finished(run) or read_known(evaluation_path(run), {"images": job.test_images}) is None:
        return False
    if job.corruptions and not corruptions_path(run).exists():
        return False
    wants_retrieval = job.retrieval_images and has_text_projector(run)
    if wants_retrieval and read_known(retrieval_path(run), {"source": job.retrieval_images}) is None:
        return False
    check_settings(resolve_machine(job.settings))
    return True


def _is_known(path: Path, comparison: dict[str, Any]) -> bool:
    """Whether the file says the same, but for the time."""
    new = json.loads(json.dumps(comparison, default=str))
    return path.exists() and {**read_json(path), "created": None} == {**new, "created": None}


def count_jobs(jobs: int | None) -> int:
    """Runs at once.

    Raises:
        SettingsError: that is none.
    """
    import torch

    if jobs is not None and jobs < 1:
        raise SettingsError(f"--jobs is {jobs}; it must be at least 1")
    return jobs or (1 if torch.cuda.is_available() else os.cpu_count() or 1)

"""What a comparison has to weigh and to train, and what of it is done already."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpt4image.compare.arms import BASELINE
from gpt4image.compare.lineup import Lineup
from gpt4image.compare.recipe import Recipe, Situation
from gpt4image.compare.runner import Job
from gpt4image.compare.summary import run_folder
from gpt4image.errors import RunError
from gpt4image.label import LabelSettings
from gpt4image.train.settings import TrainSettings


def plan_runs(
    recipe: Recipe,
    out: Path,
    lineups: Sequence[Lineup],
    texts: Mapping[str, Any],
    device: str,
    corruptions: bool,
) -> list[Job]:
    """All runs, seed by seed, so that an interrupted comparison has whole seeds.

    An arm that learns the same in several situations is trained in the first; the others link to its run.
    """
    planned, first = [], dict[str, Path]()
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
            if values.get("targets", "weighed") != "weighed":
                values.pop("distillation", None)
            settings = TrainSettings(images=recipe.images, run=out / run_folder(situation, name, seed), **values)
            twin = None
            if arm.same_everywhere and not is_own_run(settings.run):
                # A link from an earlier call, of more situations, stays.
                known = settings.run.resolve() if settings.run.exists() else settings.run
                same = first.setdefault(repr((name, {**values, "labels": ""})), known)
                twin = same if same != settings.run else None
            after = values["teacher"] if arm.needs_baseline else twin
            planned.append(
                Job(number, name, settings, recipe.test_images, after, twin, corruptions, recipe.retrieval_images)
            )
    return planned


def plan_labels(
    recipe: Recipe, lineups: Sequence[Lineup], texts: Mapping[str, Any], device: str
) -> list[LabelSettings]:
    """What is weighed: labels of every situation, seed and method, once for all arms that learn them."""
    wanted = []
    for seed, lineup in itertools.product(range(recipe.seeds), lineups):
        prompts, embeddings = lineup.prompts or ("none",), texts["embeddings"] or None
        values: dict[str, Any] = {"device": device, **recipe.label, **lineup.situation.labels, "seed": seed}
        for method in dict.fromkeys(arm.method for arm in lineup.arms.values()):
            name = labels_name(lineup.situation, method, seed)
            values |= {"method": method, "embeddings": embeddings}
            wanted.append(LabelSettings(recipe.images, texts["work"], name, prompts, **values))
    return wanted


def labels_name(situation: Situation, method: str, seed: int) -> str:
    """Name of the labels in the work folder."""
    return f"{situation.folder}-seed{seed}" + ("" if method == "weighed" else f"-{method}")


def is_done(job: Job) -> bool:
    """Whether a run is trained, with these settings, and evaluated on these images."""
    from gpt4image.evaluate.corruptions import corruptions_path
    from gpt4image.evaluate.record import evaluation_path, read_known
    from gpt4image.evaluate.retrieval import has_text_projector, retrieval_path
    from gpt4image.train.processes import resolve_machine
    from gpt4image.train.run_folder import check_settings, is_finished, load_begun

    run, settings = job.settings.run, job.settings
    if job.twin is not None and not run.is_symlink():
        return False
    if not is_finished(run) or read_known(evaluation_path(run), {"images": job.test_images}) is None:
        return False
    if job.corruptions and not corruptions_path(run).exists():
        return False
    wants_retrieval = job.retrieval_images and has_text_projector(run)
    if wants_retrieval and read_known(retrieval_path(run), {"source": job.retrieval_images}) is None:
        return False
    if job.twin is not None:
        settings = dataclasses.replace(settings, labels=load_begun(run)["labels"])
    check_settings(resolve_machine(settings))
    return True


def check_labels_learnt(jobs: Sequence[Job]) -> None:
    """Checks that runs that are done have learnt the labels as they are weighed now.

    Raises:
        RunError: images, answers or the version have changed since, and the labels with them.
    """
    from gpt4image.label.artifact import LabelTable
    from gpt4image.runs import load_manifest

    others = []
    for settings in (job.settings for job in jobs):
        if settings.labels is None or settings.targets != "weighed" or settings.work is None:
            continue
        learnt, now = load_manifest(settings.run).labels, LabelTable.open(settings.work, settings.labels).manifest
        if any(learnt.get(name) != now.get(name) for name in ("states", "reliability")):
            others.append(settings.run)
    if others:
        number = f"{others[0]} has" if len(others) == 1 else f"{len(others)} runs, such as {others[0]}, have"
        raise RunError(
            f"{number} learnt labels that have been weighed anew since, as images, answers or the version changed; "
            "delete the folders of these runs, or choose another --out"
        )


def is_own_run(run: Path) -> bool:
    """Whether a folder is there that is no link to the run of another situation."""
    return run.exists() and not run.is_symlink()

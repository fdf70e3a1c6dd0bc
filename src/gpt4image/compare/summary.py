"""From finished runs to `comparison.json`: means, spread, paired differences, verdicts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.compare.arms import BASELINE, Arm
from gpt4image.compare.recipe import Recipe, Situation
from gpt4image.compare.verdict import judge, judge_all
from gpt4image.evaluate.paired_runs import paired_difference
from gpt4image.evaluate.record import evaluation_path
from gpt4image.files import read_json
from gpt4image.runs import load_manifest


def summarise(out: Path, recipe: Recipe, situations: Sequence[tuple[Situation, Mapping[str, Arm]]]) -> dict[str, Any]:
    """Reads the runs that are finished and evaluated.

    Args:
        out: the comparison's folder; runs lie in `out/runs/SITUATION/ARM-seedN`.
        recipe: what was compared.
        situations: each with its arms.
    """
    entries = [_summarise_situation(out, situation, arms, recipe.seeds) for situation, arms in situations]
    verdicts = {entry["name"]: entry["verdict"] for entry in entries}
    first = load_manifest(out / entries[0]["arms"][BASELINE]["runs"][0]["path"])
    return {
        "title": recipe.title,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "images": recipe.images,
        "test_images": recipe.test_images,
        "classes": first.classes,
        "recipe": recipe.to_dict(),
        "baseline": BASELINE,
        "seconds": sum(run["seconds"] for entry in entries for arm in entry["arms"].values() for run in arm["runs"]),
        "situations": [{**entry, "verdict": str(entry["verdict"])} for entry in entries],
        "verdict": judge_all(verdicts),
    }


def run_folder(situation: Situation, arm: str, seed: int) -> Path:
    """Where a run lies in the comparison's folder."""
    return Path("runs") / situation.folder / f"{arm}-seed{seed}"


def _summarise_situation(out: Path, situation: Situation, arms: Mapping[str, Arm], seeds: int) -> dict[str, Any]:
    done = [
        seed
        for seed in range(seeds)
        if all(evaluation_path(out / run_folder(situation, a, seed)).exists() for a in arms)
    ]
    entries = {name: _summarise_arm(out, situation, name, arm, done) for name, arm in arms.items()}
    differences = {name: _difference(out, situation, name, done) for name in arms if name != BASELINE}
    roles = {name: arm.role for name, arm in arms.items()}
    return {
        "name": situation.name,
        "settings": dict(situation.train) | {"prompts": list(situation.prompts)},
        "arms": entries,
        "differences": differences,
        "verdict": judge(differences, roles),
    }


def _summarise_arm(out: Path, situation: Situation, name: str, arm: Arm, seeds: Sequence[int]) -> dict[str, Any]:
    runs = []
    for seed in seeds:
        folder = run_folder(situation, name, seed)
        measures = read_json(evaluation_path(out / folder))
        manifest = load_manifest(out / folder)
        shown = {key: measures[key] for key in ("top1", "top5", "ece")}
        runs.append(
            {"seed": seed, "path": str(folder), **shown, "seconds": manifest.seconds, "reader": manifest.reader}
        )
    top1 = [run["top1"] for run in runs]
    return {
        "role": arm.role,
        "explanation": arm.explanation,
        "runs": runs,
        "top1_mean": float(np.mean(top1)),
        "top1_std": float(np.std(top1, ddof=1)) if len(top1) > 1 else None,
    }


def _difference(out: Path, situation: Situation, arm: str, seeds: Sequence[int]) -> dict[str, Any]:
    runs = [[out / run_folder(situation, name, seed) for seed in seeds] for name in (arm, BASELINE)]
    difference = paired_difference(runs[0], runs[1])
    keys = ("mean", "low", "high", "level", "num_seeds", "num_images", "random")
    return {key: getattr(difference, key) for key in keys}

"""From finished runs to `comparison.json`: means, spread, paired differences, verdicts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.compare.arms import BASELINE, Arm
from gpt4image.compare.lineup import Lineup
from gpt4image.compare.recipe import Recipe, Situation
from gpt4image.compare.shares import accuracy_of, find_shares
from gpt4image.compare.verdict import Verdict, judge, judge_all, judge_without_labels
from gpt4image.evaluate.corruptions import corruption_difference, corruptions_path
from gpt4image.evaluate.paired import accuracy_interval, paired_difference
from gpt4image.evaluate.record import MEASURES, evaluation_path, load_predictions, read_measures
from gpt4image.evaluate.retrieval import retrieval_path
from gpt4image.evaluate.stage import describe_overlap
from gpt4image.files import read_json, reading
from gpt4image.runs import load_manifest


def summarise(out: Path, recipe: Recipe, lineups: Sequence[Lineup]) -> dict[str, Any]:
    """Reads the runs that are finished and evaluated.

    Args:
        out: the comparison's folder; runs lie in `out/runs/SITUATION/ARM-seedN`.
        recipe: what was compared.
        lineups: situations with their arms.
    """
    labelled = next((one.situation for one in lineups if one.has_all_labels), None)
    entries = [_summarise_situation(out, lineup, recipe.seeds, labelled) for lineup in lineups]
    verdicts = {entry["name"]: entry["verdict"] for entry in entries}
    runs = [run for entry in entries for arm in entry["arms"].values() for run in arm["runs"]]
    return {
        "title": recipe.title,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "images": recipe.images,
        "test_images": recipe.test_images,
        "classes": load_manifest(out / runs[0]["path"]).classes if runs else [],
        "recipe": asdict(recipe),
        "baseline": BASELINE,
        "seconds": sum({(out / run["path"]).resolve(): run["seconds"] for run in runs}.values()),
        "situations": [{**entry, "verdict": str(entry["verdict"])} for entry in entries],
        "shares": list(find_shares(entries)),
        "verdict": judge_all(verdicts),
    }


def run_folder(situation: Situation, arm: str, seed: int) -> Path:
    """Where a run lies in the comparison's folder."""
    return Path("runs") / situation.folder / f"{arm}-seed{seed}"


def _tell_overlap(out: Path, situation: Situation, arms: Iterable[str], seeds: Sequence[int]) -> list[str]:
    """That test images were trained on, as the first run that has seen some says."""
    for run in (out / run_folder(situation, name, seed) for name in arms for seed in seeds[:1]):
        record = read_measures(evaluation_path(run))
        if record.get("trained_on"):
            return [describe_overlap(record["trained_on"], record["n"], record["example"])]
    return []


def _find_done(out: Path, situation: Situation, arms: Iterable[str], seeds: int) -> list[int]:
    """Seeds with which all of these arms are trained and evaluated."""
    names = list(arms)
    runs = {seed: [out / run_folder(situation, name, seed) for name in names] for seed in range(seeds)}
    return [seed for seed, own in runs.items() if all(evaluation_path(run).exists() for run in own)]


def _summarise_situation(out: Path, lineup: Lineup, seeds: int, labelled: Situation | None) -> dict[str, Any]:
    situation, arms = lineup.situation, lineup.arms
    done = _find_done(out, situation, arms, seeds)
    entries = {name: _summarise_arm(out, situation, name, arm, done) for name, arm in arms.items()}
    others = [name for name in arms if name != BASELINE and BASELINE in arms]
    differences = {name: _difference(out, (situation, name), (situation, BASELINE), done) for name in others}
    reference = None
    if not lineup.has_labels and labelled is not None:
        # Each arm against the baseline of the situation with all labels, if that is trained.
        shared = [seed for seed in done if seed in _find_done(out, labelled, [BASELINE], seeds)]
        against = {name: _difference(out, (situation, name), (labelled, BASELINE), shared) for name in arms if shared}
        reference = {"situation": labelled.name, "arm": BASELINE, "differences": against} if shared else None
    return {
        "name": situation.name,
        "settings": dict(situation.labels) | dict(situation.train) | {"prompts": list(situation.prompts)},
        "without_labels": not lineup.has_labels,
        "arms": entries,
        "left_out": [*lineup.explain_left_out(), *_tell_overlap(out, situation, arms, done)],
        "differences": differences,
        "corruptions": _summarise_corruptions(out, entries),
        "retrieval": _summarise_retrieval(out, entries),
        "reference": reference,
        "verdict": _judge(out, lineup, entries, differences, reference),
    }


def _judge(
    out: Path,
    lineup: Lineup,
    entries: Mapping[str, Any],
    differences: Mapping[str, Any],
    reference: Mapping[str, Any] | None,
) -> Verdict:
    roles = {name: arm.role for name, arm in lineup.arms.items()}
    if lineup.has_labels:
        return judge(differences, roles)
    accuracies = {name: accuracy_of(arm) for name, arm in entries.items()}
    runs = [run for arm in entries.values() for run in arm["runs"]]
    labels = load_predictions(out / runs[0]["path"]).labels if runs else np.zeros(0, dtype=np.int64)
    # In percent of the test images, those of their most frequent class.
    chance = 100 * np.bincount(labels).max(initial=0) / max(len(labels), 1)
    return judge_without_labels(accuracies, roles, chance, reference["differences"] if reference else None)


def _summarise_arm(out: Path, situation: Situation, name: str, arm: Arm, seeds: Sequence[int]) -> dict[str, Any]:
    runs = []
    for seed in seeds:
        folder = run_folder(situation, name, seed)
        manifest = load_manifest(out / folder)
        with reading(evaluation_path(out / folder)):
            measures = read_measures(evaluation_path(out / folder))
            shown = {name: measures[name] for name in MEASURES}
        shown |= {"seconds": manifest.seconds, "labels": manifest.labels.get("reliability", {})}
        runs.append({"seed": seed, "path": str(folder), **shown})
    top1 = [run["top1"] for run in runs]
    interval = accuracy_interval([out / run["path"] for run in runs])
    return {
        "role": arm.role,
        "explanation": arm.explanation,
        "runs": runs,
        "top1_mean": float(np.mean(top1)),
        "top1_std": float(np.std(top1, ddof=1)) if len(top1) > 1 else None,
        "top1_low": interval.low,
        "top1_high": interval.high,
    }


def _summarise_corruptions(out: Path, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy under corruptions of the arms that are measured so, with differences to the baseline; empty if none."""
    found = {}
    for name, arm in entries.items():
        runs = [out / run["path"] for run in arm["runs"]]
        if not runs or not all(corruptions_path(run).exists() for run in runs):
            continue
        records = _read_records(map(corruptions_path, runs), ("top1", "by_corruption", "severities"))
        found[name] = {
            "top1_mean": float(np.mean([record["top1"] for record in records])),
            "by_corruption": _mean_each([record["by_corruption"] for record in records]),
            "severities": records[0]["severities"],
        }
        if name != BASELINE and BASELINE in found:
            difference = corruption_difference(runs, [out / run["path"] for run in entries[BASELINE]["runs"]])
            found[name]["difference"] = {key: getattr(difference, key) for key in ("mean", "low", "high", "level")}
    return found


def _summarise_retrieval(out: Path, entries: Mapping[str, Any]) -> dict[str, Any]:
    """How often a description finds its image in each arm that has a projector, mean over seeds; empty if none."""
    found = {}
    for name, arm in entries.items():
        paths = [retrieval_path(out / run["path"]) for run in arm["runs"]]
        if paths and all(path.exists() for path in paths):
            records = _read_records(paths, ("recalls", "images", "texts"))
            recalls = _mean_each([record["recalls"] for record in records])
            found[name] = {"recalls": recalls, "images": records[0]["images"], "texts": records[0]["texts"]}
    return found


def _read_records(paths: Iterable[Path], names: Sequence[str]) -> list[dict[str, Any]]:
    """These measures of each record."""
    found = []
    for path in paths:
        with reading(path):
            record = read_json(path)
            found.append({name: record[name] for name in names})
    return found


def _mean_each(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([record[name] for record in records])) for name in records[0]}


def _difference(
    out: Path, arm: tuple[Situation, str], other: tuple[Situation, str], seeds: Sequence[int]
) -> dict[str, Any]:
    mine, others = ([out / run_folder(*one, seed) for seed in seeds] for one in (arm, other))
    return asdict(paired_difference(mine, others))

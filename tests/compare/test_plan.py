"""Which runs a recipe asks for."""

from pathlib import Path

import pytest
import torch
import yaml

from gpt4image.compare.arms import find_arms
from gpt4image.compare.lineup import Lineup
from gpt4image.compare.plan import plan_runs
from gpt4image.compare.recipe import read_recipe
from gpt4image.compare.runner import Job, run_job
from gpt4image.compare.stage import count_jobs
from gpt4image.train import TrainSettings


def test_the_llms_opinion_is_learnt_by_the_arms_that_learn_weighed_labels(recipe: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(recipe.read_text())
    values["train"]["distillation"] = 0.2
    recipe.write_text(yaml.safe_dump(values))
    read = read_recipe(recipe)
    lineup = Lineup(read.situations[0], find_arms(["baseline", "aligned", "picks", "true"]))
    texts = {"work": tmp_path, "embeddings": None}
    found = {job.arm: job.settings.distillation for job in plan_runs(read, tmp_path, [lineup], texts, "cpu", False)}
    assert found == {name: 0.2 if name == "aligned" else 0.0 for name in found}
    assert len(found) >= 4


def test_runs_go_to_the_device_that_is_asked_for_and_leave_the_rest_to_the_machine(
    recipe: Path, tmp_path: Path
) -> None:
    read = read_recipe(recipe)
    lineup = Lineup(read.situations[0], find_arms(["baseline", "aligned"]))
    texts = {"work": tmp_path, "embeddings": None}
    planned = plan_runs(read, tmp_path, [lineup], texts, "cuda:1", False)
    assert {(job.settings.device, job.settings.precision, job.settings.workers) for job in planned} == {
        ("cuda:1", "auto", None)
    }


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_one_run_at_a_time_is_trained_on_an_accelerator_and_one_a_core_where_the_cpu_is_asked_for(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert (count_jobs(None), count_jobs(None, "auto"), count_jobs(3)) == (1, 1, 3)
    assert (count_jobs(None, "cpu"), count_jobs(2, "cpu")) == (6, 2)


def test_on_a_gpu_a_run_has_workers_and_of_the_first_seed_its_features_are_kept_for_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int | None, str, bool]] = []
    monkeypatch.setattr("gpt4image.models.machine.choose_device", torch.device)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(6))
    monkeypatch.setattr("gpt4image.train.train", lambda settings: None)
    monkeypatch.setattr("gpt4image.evaluate.evaluate", lambda how: seen.append((how.workers, how.device, how.features)))
    for seed, freeze in ((0, False), (1, False), (0, True)):
        settings = TrainSettings("photos", tmp_path, device="cuda", seed=seed, freeze=freeze, pretrained=True)
        run_job(Job(0, "baseline", settings, "photos"))
    assert seen == [(6, "cuda", True), (6, "cuda", False), (6, "cuda", False)]

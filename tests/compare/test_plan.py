"""Which runs a recipe asks for."""

from pathlib import Path

import yaml

from gpt4image.compare.arms import find_arms
from gpt4image.compare.lineup import Lineup
from gpt4image.compare.plan import plan_runs
from gpt4image.compare.recipe import read_recipe


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

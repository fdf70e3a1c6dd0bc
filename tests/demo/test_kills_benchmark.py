"""benchmarks/kills.py makes the demo smaller from outside: what it replaces must fit the demo of today."""

import importlib.util
from importlib.resources import as_file, files
from pathlib import Path
from types import ModuleType

import pytest

from gpt4image.demo import DemoSettings, stage

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kills", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["frozen", "from_nothing"])
def test_the_small_demo_has_the_recipes_of_the_demo(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kills = load_script()
    monkeypatch.setattr(stage, "_recipe", stage._recipe)
    called: list[list[str]] = []
    monkeypatch.setattr(kills, "run_command", lambda words: called.append(words) or 0)
    assert kills.run_tiny_demo() == 0
    assert called[0][0] == "demo"
    with as_file(files("gpt4image.demo")) as folder:
        recipe = stage._recipe(folder, name, DemoSettings(tmp_path, seeds=1))
    assert (recipe.images, recipe.seeds, recipe.work) == ("photos", 1, tmp_path / "work")
    assert recipe.describe["file"] == "demo.jsonl"

"""A comparison from recipe to verdict, really trained; it goes on, and it can say no."""

from pathlib import Path

import pytest
import yaml

from gpt4image.compare import CompareSettings, compare
from gpt4image.compare.verdict import judge, judge_all
from gpt4image.errors import RunError, SettingsError
from gpt4image.files import read_json


def change(recipe: Path, **values) -> Path:
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(recipe.read_text()), **values}))
    return recipe


def test_comparison_is_made_once_and_goes_on(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = compare(CompareSettings(change(recipe, seeds=1), out, jobs=1, device="cpu"))
    assert first.num_new == 3
    saved = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*/model.safetensors")}
    report_time = (out / "index.html").stat().st_mtime_ns
    again = compare(CompareSettings(recipe, out, jobs=1, device="cpu"))
    assert again.num_new == 0
    assert (out / "index.html").stat().st_mtime_ns == report_time
    assert "nothing was done again" in " ".join(line for line in again.lines() if isinstance(line, str))
    more = compare(CompareSettings(recipe, out, seeds=2, jobs=2, device="cpu"))
    assert more.num_new == 3
    assert all(path.stat().st_mtime_ns == time for path, time in saved.items())
    situation = read_json(out / "comparison.json")["situations"][0]
    assert [len(arm["runs"]) for arm in situation["arms"].values()] == [2, 2, 2]
    assert situation["differences"]["aligned"]["num_images"] == 120
    assert (out / "index.html").exists()


def test_arms_share_weights_order_and_labels(recipe: Path, tmp_path: Path) -> None:
    """With text weight 0 and no reader, the aligned arm must be the baseline to the bit."""
    from gpt4image.runs import hash_weights

    train = yaml.safe_load(recipe.read_text())["train"] | {"text_weight": 0.0, "reader": False, "objective": "clip"}
    change(recipe, train=train, seeds=1, arms=["aligned"])
    compare(CompareSettings(recipe, tmp_path / "out", jobs=1, device="cpu"))
    runs = tmp_path / "out/runs/all-labels"
    assert hash_weights(runs / "aligned-seed0") == hash_weights(runs / "baseline-seed0")


def test_shuffled_descriptions_are_no_measurable_gain(recipe: Path, tmp_path: Path) -> None:
    settings = CompareSettings(recipe, tmp_path / "out", seeds=3, arms=("shuffled",), jobs=1, device="cpu")
    result = compare(settings)
    assert result.comparison["verdict"].startswith("No measurable gain")


def test_self_training_learns_from_the_baseline(recipe: Path, tmp_path: Path) -> None:
    situations = [{"name": "few", "train": {"keep_labels": 4}}]
    change(recipe, situations=situations, arms=["self_training"], seeds=1)
    compare(CompareSettings(recipe, tmp_path / "out", jobs=2, device="cpu"))
    runs = tmp_path / "out/runs/few"
    assert read_json(runs / "self_training-seed0/manifest.json")["settings"]["teacher"] == str(runs / "baseline-seed0")
    assert not (tmp_path / "out/work").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"arms": ["alinged"]}, "there is no arm 'alinged'; choose from baseline, aligned"),
        ({"tests": "x"}, "unknown setting 'tests'; allowed are title, images"),
        ({"train": {"epoch": 3}}, "train has the unknown setting 'epoch'"),
        ({"seeds": 0}, "seeds is 0"),
        ({"situations": [{"name": "a"}, {"name": "A"}]}, "same name"),
    ],
)
def test_refused_recipes(recipe: Path, tmp_path: Path, values: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        compare(CompareSettings(change(recipe, **values), tmp_path / "out"))


def test_missing_recipe_and_unknown_situation(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no recipe"):
        compare(CompareSettings(tmp_path / "none.yaml"))
    with pytest.raises(SettingsError, match="no situation 'noisy'; it has all labels"):
        compare(CompareSettings(recipe, tmp_path / "out", situations=("noisy",)))


def test_a_comparison_is_not_mixed_with_other_settings(recipe: Path, tmp_path: Path) -> None:
    settings = CompareSettings(change(recipe, arms=["shuffled"]), tmp_path / "out", seeds=1, jobs=1, device="cpu")
    compare(settings)
    train = yaml.safe_load(recipe.read_text())["train"] | {"lr": 0.5}
    change(recipe, train=train)
    with pytest.raises(RunError, match="begun with --lr"):
        compare(settings)


def arm(mean: float, half: float = 1.0) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


ROLES = {"aligned": "method", "shuffled": "control"}


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ({"aligned": arm(3), "shuffled": arm(0)}, "Text helps: +3.0"),
        ({"aligned": arm(0.5), "shuffled": arm(0)}, "No measurable gain: +0.5"),
        ({"aligned": arm(-3), "shuffled": arm(0)}, "Text hurts here: -3.0"),
        ({"aligned": arm(3), "shuffled": arm(2.5)}, "regularisation more than text"),
        ({"aligned": arm(5), "shuffled": arm(1.2)}, "Text helps"),
        ({"shuffled": arm(0.1)}, "No measurable gain"),
        ({"shuffled": arm(4)}, "control shuffled gains"),
    ],
)
def test_verdicts(differences: dict, words: str) -> None:
    assert words in str(judge(differences, ROLES))


def test_several_situations_are_one_phrase_each() -> None:
    verdicts = {"clean labels": judge({"aligned": arm(0.2)}, ROLES), "10 labels": judge({"aligned": arm(9)}, ROLES)}
    assert judge_all(verdicts) == "Clean labels: no measurable gain (+0.2). 10 labels: text helps (+9.0)."

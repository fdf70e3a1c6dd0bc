"""A comparison from recipe to verdict, really trained; it goes on, and it can say no."""

import dataclasses
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from gpt4image.compare import CompareSettings
from gpt4image.compare import compare as compare_without_report
from gpt4image.compare.verdict import adjust_by_holm, judge, judge_all, judge_without_labels
from gpt4image.errors import RunError, SettingsError
from gpt4image.evaluate.corruptions import Corruption
from gpt4image.files import read_json
from gpt4image.report import compare_and_report as compare
from gpt4image.runs import load_manifest

FEW = {"name": "few", "labels": {"keep_labels": 4}}


def change(recipe: Path, **values) -> Path:
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(recipe.read_text()), **values}))
    return recipe


def arm(mean: float, half: float = 1.0) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


ROLES = {"aligned": "method", "shuffled": "control", "label_text": "control"}


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
    assert 0 < situation["differences"]["aligned"]["p"] <= 1
    assert (out / "index.html").exists()


def test_test_images_that_were_trained_on_are_said(recipe: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(recipe.read_text())
    settings = CompareSettings(
        change(recipe, test_images=values["images"], arms=["baseline"], seeds=1), tmp_path / "out", jobs=1, device="cpu"
    )
    result = compare(settings)
    (note,) = result.comparison["situations"][0]["left_out"]
    assert "test images were trained on or chosen by (same bytes), such as" in note
    assert "were trained on" in (tmp_path / "out" / "index.html").read_text()


def test_the_report_is_written_afterwards_if_it_is_asked_for(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CompareSettings(recipe, tmp_path / "out", 1, arms=("aligned",), jobs=1, device="cpu")
    without = compare_without_report(settings)
    assert without.report is None
    assert not any("report: " in str(line) for line in without.lines())
    assert not (tmp_path / "out" / "index.html").exists()
    assert compare(settings).report == tmp_path / "out" / "index.html"
    assert list(compare(settings).lines())[-1] == f"report: {tmp_path / 'out' / 'index.html'}"
    (tmp_path / "out" / "index.html").unlink()
    devices: list[str] = []
    monkeypatch.setattr("gpt4image.report.stage.write_report", lambda folder, device: devices.append(device) or folder)
    compare(settings)
    assert devices == ["cpu"], "the report looks inside where the runs were trained"


def test_what_waits_for_a_run_of_an_earlier_call_is_trained(recipe: Path, tmp_path: Path) -> None:
    """Interrupted after the baselines, which self_training learns from."""
    out = tmp_path / "out"
    settings = CompareSettings(change(recipe, arms=["self_training"]), out, jobs=1, device="cpu")
    assert compare(settings).num_new == 4
    for run in out.glob("runs/*/self_training-seed*"):
        shutil.rmtree(run)
    assert compare(dataclasses.replace(settings, jobs=2)).num_new == 2


def test_what_is_the_same_in_every_situation_is_trained_once(recipe: Path, tmp_path: Path) -> None:
    from gpt4image.runs import hash_weights

    out, every = tmp_path / "out", {"name": "all"}
    change(recipe, arms=["true"], seeds=1, situations=[every, FEW])
    settings = CompareSettings(recipe, out, jobs=2, device="cpu")
    made = compare(settings)
    assert made.num_new == 4
    own, linked = (out / "runs" / name / "true-seed0" for name in ("all", "few"))
    assert linked.is_symlink()
    assert not Path(linked.readlink()).is_absolute()
    assert made.comparison["seconds"] == pytest.approx(
        sum(load_manifest(run).seconds for run in out.glob("runs/*/*-seed0") if not run.is_symlink())
    )
    apart = tmp_path / "apart"
    compare(CompareSettings(recipe, apart, situations=("few",), jobs=1, device="cpu"))
    assert not (apart / "runs/few/true-seed0").is_symlink()
    assert hash_weights(apart / "runs/few/true-seed0") == hash_weights(own)
    # All of it again, and one situation of it, alone or after its runs stand on their own.
    assert compare(settings).num_new == 0
    assert compare(dataclasses.replace(settings, situations=("few",))).num_new == 0
    assert compare(CompareSettings(recipe, apart, jobs=1, device="cpu")).num_new == 2
    assert compare(CompareSettings(recipe, apart, jobs=1, device="cpu")).num_new == 0
    # A link whose run is gone is trained anew; other settings are refused through it, too.
    shutil.rmtree(own)
    assert compare(dataclasses.replace(settings, jobs=1)).num_new == 2
    change(recipe, train={**yaml.safe_load(recipe.read_text())["train"], "epochs": 3})
    with pytest.raises(RunError, match="was begun with --epochs 2, not 3"):
        compare(dataclasses.replace(settings, situations=("few",)))


def test_arms_share_weights_order_and_labels(recipe: Path, tmp_path: Path) -> None:
    """With text weight 0, the arm of alignment alone must be the baseline to the bit."""
    from gpt4image.runs import hash_weights

    train = yaml.safe_load(recipe.read_text())["train"] | {"text_weight": 0.0, "objective": "clip"}
    change(recipe, train=train, seeds=1, arms=["alignment"])
    compare(CompareSettings(recipe, tmp_path / "out", jobs=1, device="cpu"))
    runs = tmp_path / "out/runs/all-labels"
    assert hash_weights(runs / "alignment-seed0") == hash_weights(runs / "baseline-seed0")


def test_shuffled_descriptions_are_no_measurable_gain(recipe: Path, tmp_path: Path) -> None:
    settings = CompareSettings(recipe, tmp_path / "out", seeds=3, arms=("shuffled",), jobs=1, device="cpu")
    result = compare(settings)
    assert result.comparison["verdict"].startswith("No measurable gain")


def test_self_training_learns_from_the_baseline(recipe: Path, tmp_path: Path) -> None:
    situations = [{"name": "few", "labels": {"keep_labels": 4}}]
    change(recipe, situations=situations, arms=["self_training"], seeds=1)
    compare(CompareSettings(recipe, tmp_path / "out", jobs=2, device="cpu"))
    runs = tmp_path / "out/runs/few"
    assert read_json(runs / "self_training-seed0/manifest.json")["settings"]["teacher"] == str(runs / "baseline-seed0")
    assert {path.name for path in (tmp_path / "out/work").iterdir()} == {"labels", ".locks"}


def add_answers(recipe: Path, answer: Callable[[str], str]) -> None:
    """Gives each training image an answer to the question for its class."""
    describe = yaml.safe_load(recipe.read_text())["describe"]
    rows = [json.loads(line) for line in Path(describe["file"]).read_text().splitlines()]
    lines = [json.dumps({**row, "pick_class": answer(row["path"].split("/")[1])}) for row in rows]
    Path(describe["file"]).write_text("\n".join(lines))
    change(recipe, describe={**describe, "field": ["caption", "pick_class"]})


def test_picks_are_labels_and_no_descriptions(recipe: Path, tmp_path: Path) -> None:
    add_answers(recipe, lambda name: f"{name.upper()}.")
    change(recipe, arms=["aligned", "picks", "dawid_skene", "label_text", "true"], seeds=1, situations=[FEW])
    result = compare(CompareSettings(recipe, tmp_path / "out", jobs=1, device="cpu"))
    runs = tmp_path / "out/runs/few"
    arms = ("picks", "aligned", "label_text", "true", "dawid_skene")
    picked, aligned, named, true, dawid = (load_manifest(runs / f"{name}-seed0") for name in arms)
    assert (picked.num_described, aligned.num_described, named.num_described) == (0, 36, 12)
    assert (picked.labels["targets"], true.labels["targets"]) == ("picks", "true")
    assert (aligned.labels["name"], dawid.labels["name"]) == ("few-seed0", "few-seed0-dawid_skene")
    assert aligned.labels["states"]["completed"] == 24
    assert aligned.settings["prompts"] == ["caption"]
    # All picks are right: what is believed of them and what is true is learnt alike.
    tops = [result.comparison["situations"][0]["arms"][name]["top1_mean"] for name in ("picks", "true")]
    assert tops[0] == tops[1]


def test_without_picks_the_arm_is_left_out_and_the_reason_is_said(recipe: Path, tmp_path: Path) -> None:
    result = compare(CompareSettings(recipe, tmp_path / "out", 1, arms=("picks",), jobs=1, device="cpu"))
    (line,) = [line for line in result.lines() if isinstance(line, str) and line.startswith("picks")]
    assert "work holds no picks" in line
    assert result.comparison["situations"][0]["arms"].keys() == {"baseline"}


def test_no_labels_at_all(recipe: Path, tmp_path: Path) -> None:
    """Only the class names are known: no baseline, but an accuracy and how far it is from all labels."""
    situations = [{"name": "all labels", "arms": ["weighed"]}, {"name": "none", "labels": {"keep_labels": 0}}]
    arms = ["aligned", "weighed", "official", "self_training", "shuffled"]
    change(recipe, situations=situations, arms=arms, seeds=1)
    result = compare(CompareSettings(recipe, tmp_path / "out", jobs=1, device="cpu"))
    situation = result.comparison["situations"][1]
    assert situation["arms"].keys() == {"aligned", "weighed"}
    assert situation["left_out"] == ["baseline, official, self_training, shuffled: cannot train without labels"]
    own = situation["arms"]["aligned"]
    assert own["top1_low"] <= own["top1_mean"] <= own["top1_high"]
    baseline = result.comparison["situations"][0]["arms"]["baseline"]["top1_mean"]
    difference = situation["reference"]["differences"]["aligned"]["mean"]
    assert difference == pytest.approx(own["top1_mean"] - baseline)
    console = Console(width=120, file=io.StringIO())
    for line in result.lines():
        console.print(line)
    shown = console.file.getvalue()
    assert "against baseline, all labels" in shown
    assert f"{own['top1_low']:.2f} to {own['top1_high']:.2f}" in shown


def test_other_test_images_are_measured_anew(recipe: Path, tmp_path: Path) -> None:
    """The trained runs are kept, their accuracies are those on the new images."""
    settings = CompareSettings(recipe, tmp_path / "out", 1, arms=("aligned",), jobs=1, device="cpu")
    before = compare(settings).comparison["situations"][0]["differences"]["aligned"]["num_images"]
    result = compare(dataclasses.replace(settings, recipe=change(recipe, test_images=str(tmp_path / "train"))))
    after = result.comparison["situations"][0]["differences"]["aligned"]["num_images"]
    assert (before, after) == (120, 36)
    assert result.num_new == 2
    assert compare(settings).num_new == 0


def test_texts_find_images_that_were_not_trained_on(recipe: Path, tmp_path: Path) -> None:
    """Also when the comparison is asked for it after its runs are done."""
    held_out = tmp_path / "held_out"
    shutil.copytree(tmp_path / "test", held_out)
    captions = tmp_path / "captions.jsonl"
    lines = [{"path": f"held_out/{p.parent.name}/{p.name}", "caption": str(p)} for p in sorted(held_out.rglob("*.png"))]
    captions.write_text(captions.read_text() + "\n" + "\n".join(map(json.dumps, lines)))
    settings = CompareSettings(recipe, tmp_path / "out", 1, arms=("aligned", "weighed"), jobs=1, device="cpu")
    assert compare(settings).comparison["situations"][0]["retrieval"] == {}
    result = compare(dataclasses.replace(settings, recipe=change(recipe, retrieval_images=str(held_out))))
    found = result.comparison["situations"][0]["retrieval"]
    assert list(found) == ["aligned"], "the others have no projector"
    assert (found["aligned"]["images"], found["aligned"]["texts"]) == (120, 120)
    assert any(str(line).startswith("aligned, a description finds its image: R@1 ") for line in result.lines())
    assert "<h3>Images found by text</h3>" in result.report.read_text(encoding="utf-8")


def test_corruptions_are_measured_afterwards(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [Corruption("brightness", 1), Corruption("contrast", 2)]
    monkeypatch.setattr("gpt4image.evaluate.corruptions.list_corruptions", lambda severities: few)
    train = yaml.safe_load(recipe.read_text())["train"] | {"input_size": 32, "epochs": 1}
    settings = CompareSettings(
        change(recipe, train=train), tmp_path / "out", 1, arms=("aligned",), jobs=1, device="cpu"
    )
    assert compare(settings).comparison["situations"][0]["corruptions"] == {}
    result = compare(dataclasses.replace(settings, corruptions=True))
    found = result.comparison["situations"][0]["corruptions"]
    difference = found["aligned"]["top1_mean"] - found["baseline"]["top1_mean"]
    assert found["aligned"]["difference"]["mean"] == pytest.approx(difference)
    assert any(str(line).startswith("aligned under corruptions: ") for line in result.lines())
    assert "<h3>Under corruptions</h3>" in result.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("own", "shuffled", "labelled", "words"),
    [
        (60, 34, -5, "Without any label, what describers say gives 60.0 %.*against labels for all images -5.0"),
        (60, 34, None, r"gives 60.0 %: 95 % interval 59.0 to 61.0, the most frequent class alone 33.3\.$"),
        (34, 33, None, "teaches nothing here, 34.0 %"),
        (60, 55, -5, "control shuffled does nearly as well as aligned, be suspicious"),
    ],
)
def test_verdicts_without_labels(own: float, shuffled: float, labelled: float | None, words: str) -> None:
    accuracies = {"aligned": arm(own), "shuffled": arm(shuffled)}
    against = None if labelled is None else {"aligned": arm(labelled)}
    assert re.search(words, str(judge_without_labels(accuracies, ROLES, 100 / 3, against)))


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


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ({"aligned": arm(3), "shuffled": arm(0)}, "Text helps: 3.0"),
        ({"aligned": arm(0.5), "shuffled": arm(0)}, "No measurable gain: 0.5"),
        ({"aligned": {"mean": 1, "low": -30, "high": 32}}, "No measurable gain, but too few test images or seeds"),
        ({"aligned": arm(-3), "shuffled": arm(0)}, "Text hurts here: -3.0"),
        ({"aligned": arm(3), "shuffled": arm(2.5)}, "regularisation more than text"),
        ({"aligned": arm(5), "shuffled": arm(1.2)}, "Text helps"),
        ({"aligned": arm(5), "label_text": arm(4)}, "class names alone do as much.*control label_text gains"),
        ({"shuffled": arm(0.1)}, "No measurable gain"),
        ({"shuffled": arm(4)}, "control shuffled gains"),
    ],
)
def test_verdicts(differences: dict, words: str) -> None:
    assert re.search(words, str(judge(differences, ROLES)).replace("+", ""))


def test_several_situations_are_one_phrase_each() -> None:
    verdicts = {"clean labels": judge({"aligned": arm(0.2)}, ROLES), "10 labels": judge({"aligned": arm(9)}, ROLES)}
    assert judge_all(verdicts) == "Clean labels: no measurable gain (+0.2). 10 labels: text helps (+9.0)."


def test_a_gain_that_several_situations_would_show_by_chance_is_said_to_be_one() -> None:
    """Holm by hand: of 0.01, 0.04 and 0.03 the smallest is taken three times, the next twice, the last once."""
    assert adjust_by_holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert adjust_by_holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    found = {name: judge({"aligned": arm(3) | {"p": p}}, ROLES) for name, p in (("x", 0.01), ("y", 0.04), ("z", 0.03))}
    alone = ", by itself; not with 3 situations read together"
    assert judge_all(found) == f"X: text helps (+3.0). Y: text helps (+3.0){alone}. Z: text helps (+3.0){alone}."
    assert "read together" not in judge_all({"y": found["y"]})


def test_runs_that_learnt_other_labels_are_not_mixed_with_new_ones(recipe: Path, tmp_path: Path) -> None:
    """Other captions came, so that labels are weighed anew; what was trained before must not stand beside it."""
    settings = CompareSettings(change(recipe, arms=["aligned"], seeds=1, situations=[FEW]), tmp_path / "out")
    compare(settings)
    assert compare(settings).num_new == 0
    captions = tmp_path / "captions.jsonl"
    captions.write_text(re.sub("blue|green", "grey", captions.read_text()))
    shutil.rmtree(tmp_path / "out" / "work")
    with pytest.raises(RunError, match=r"few/aligned-seed0 has learnt labels .* choose another --out"):
        compare(settings)
    shutil.rmtree(tmp_path / "out" / "runs" / "few" / "aligned-seed0")
    assert compare(settings).num_new == 1

"""`evaluate` on real image files."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gpt4image.cli import main
from gpt4image.errors import ImageSetError, RunError, SettingsError
from gpt4image.evaluate import EvaluateSettings, evaluate, paired_difference
from gpt4image.evaluate.record import load_features, load_predictions
from gpt4image.files import read_json
from gpt4image.images import ImageSet, open_images, scan_images
from gpt4image.models import pixels
from gpt4image.results import ExitStatus
from gpt4image.runs import load_manifest, load_model, save_trained_on

MakeRun = Callable[..., Path]


def test_labels_are_matched_by_name_and_the_rest_is_counted(make_run: MakeRun, photos: Path) -> None:
    run = make_run()
    result = evaluate(EvaluateSettings(run, str(photos), workers=0))
    assert (result.n, result.unlabelled, list(result.unreadable)) == (8, 4, ["dog/cut.png"])
    assert result.exit_status == ExitStatus.PARTLY
    predictions = load_predictions(run)
    assert predictions.labels.tolist() == [1] * 4 + [2] * 4
    assert result.top1 == pytest.approx(100 * predictions.correct.mean())
    assert result.per_class["bear"] == {"accuracy": None, "n": 0}
    assert read_json(run / "evaluation.json")["images"] == str(photos)


def test_images_that_were_trained_on_are_counted_and_named(make_run: MakeRun, photos: Path) -> None:
    run = make_run()
    images = open_images(str(photos))
    place = images.keys.index("cat/1.png")
    assert not any(
        "trained on" in line
        for line in evaluate(EvaluateSettings(run, str(photos), workers=0)).lines()
        if isinstance(line, str)
    )
    save_trained_on(run, [scan_images(images).digests[place], "f" * 64])
    result = evaluate(EvaluateSettings(run, str(photos), workers=0))
    assert (result.trained_on, result.example, result.reused) == (1, "cat/1.png", True)
    assert any(
        line.startswith("1 of 8 test images were trained on") for line in result.lines() if isinstance(line, str)
    )
    assert read_json(run / "evaluation.json")["trained_on"] == 1
    written_ns = (run / "evaluation.json").stat().st_mtime_ns
    assert evaluate(EvaluateSettings(run, str(photos), workers=0)).trained_on == 1
    assert (run / "evaluation.json").stat().st_mtime_ns == written_ns


def test_an_evaluation_that_takes_the_place_of_another_says_so(make_run: MakeRun, photos: Path) -> None:
    run = make_run()
    assert not evaluate(EvaluateSettings(run, str(photos), workers=0)).replaced
    other = photos.with_name("other")
    shutil.copytree(photos / "cat", other / "cat")
    second = evaluate(EvaluateSettings(run, str(other), workers=0))
    assert second.replaced == str(photos)
    assert any(f"took the place of the evaluation on {photos}" in str(line) for line in second.lines())
    assert not evaluate(EvaluateSettings(run, str(photos), workers=0, name="first")).replaced


def test_logits_are_those_of_the_plain_model(make_run: MakeRun, photos: Path) -> None:
    run = make_run()
    evaluate(EvaluateSettings(run, str(photos), batch_size=3))
    pixels = np.asarray(Image.open(photos / "dog" / "0.png").resize((38, 32), Image.Resampling.BICUBIC))[:, 3:35]
    tensor = (torch.from_numpy(pixels / 255).permute(2, 0, 1).float() - 0.5) / 0.25
    with torch.no_grad():
        expected = load_model(run, load_manifest(run))(tensor[None])[0]
    assert load_predictions(run).logits[4] == pytest.approx(expected.numpy(), abs=2e-2)


def test_what_is_measured_is_not_measured_again(make_run: MakeRun, photos: Path) -> None:
    run, other = make_run(), make_run("other", seed=1)
    settings = EvaluateSettings(run, str(photos), workers=0)
    first = evaluate(settings)
    written_ns = (run / "predictions.npz").stat().st_mtime_ns
    again = evaluate(settings)
    assert (first.reused, again.reused, again.top1) == (False, True, first.top1)
    assert (run / "predictions.npz").stat().st_mtime_ns == written_ns
    (other / "model.safetensors").replace(run / "model.safetensors")
    assert not evaluate(settings).reused
    (photos / "dog" / "3.png").unlink()
    assert not evaluate(settings).reused


def test_kept_features_are_those_of_the_weights_as_they_are(make_run: MakeRun, photos: Path) -> None:
    run, other = make_run(), make_run("other", seed=1)
    settings = EvaluateSettings(run, str(photos), workers=0)
    evaluate(settings)
    assert not evaluate(replace(settings, features=True)).reused
    assert evaluate(replace(settings, features=True)).reused
    predictions = load_predictions(run)
    features = load_features(run, predictions.digests[::-1])
    assert features is not None
    model = load_model(run, load_manifest(run)).get_classifier()
    logits = model(torch.from_numpy(features[::-1].copy())).detach().numpy()
    assert logits == pytest.approx(predictions.logits, abs=1e-4)
    assert load_features(run, ["0" * 64]) is None
    (other / "model.safetensors").replace(run / "model.safetensors")
    assert load_features(run, predictions.digests) is None, "of other weights"
    evaluate(settings)
    assert not (run / "features.npz").exists()


def test_two_test_sets_stand_side_by_side(make_run: MakeRun, photos: Path) -> None:
    run = make_run()
    evaluate(EvaluateSettings(run, str(photos), workers=0))
    (photos / "cat" / "0.png").unlink()
    evaluate(EvaluateSettings(run, str(photos), name="fewer", workers=0))
    assert (read_json(run / "evaluation.json")["n"], read_json(run / "evaluation-fewer.json")["n"]) == (8, 7)
    assert len(load_predictions(run, "fewer").labels) == 7


def test_paired_difference_of_runs(make_run: MakeRun, photos: Path) -> None:
    runs = [make_run(f"run{seed}", seed) for seed in range(2)]
    for run in runs:
        evaluate(EvaluateSettings(run, str(photos), workers=0))
    result = paired_difference(*runs)
    means = [100 * load_predictions(run).correct.mean() for run in runs]
    assert result.mean == pytest.approx(means[0] - means[1])
    assert paired_difference(runs, runs).high == 0
    (photos / "cat" / "0.png").unlink()
    evaluate(EvaluateSettings(runs[1], str(photos), workers=0))
    with pytest.raises(RunError, match="evaluated on different images"):
        paired_difference(*runs)
    with pytest.raises(SettingsError, match="1 runs cannot be paired with 2"):
        paired_difference(runs[0], runs)


def test_mistakes_are_one_line(make_run: MakeRun, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(photos), str(photos)]) == 2
    assert "is no run" in capsys.readouterr().err
    assert main(["evaluate", str(make_run()), str(photos), "--name", "a/b"]) == 2
    assert "'a/b' cannot stand in a file name" in capsys.readouterr().err
    assert main(["evaluate", str(make_run("r")), str(photos), "--device", "abacus"]) == 2
    assert "device 'abacus' cannot be used here" in capsys.readouterr().err
    with pytest.raises(ImageSetError, match="no labelled images"):
        evaluate(EvaluateSettings(make_run("s"), str(photos / "_unlabelled")))
    with pytest.raises(ImageSetError, match="'dog', but the classes are 'cat', 'owl'"):
        evaluate(EvaluateSettings(make_run("t", classes=["cat", "owl"]), str(photos)))


def test_command_line_shows_the_table(
    make_run: MakeRun, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "dog" / "cut.png").unlink()
    assert main(["evaluate", str(make_run()), str(photos), "--workers", "0"]) == 0
    shown = capsys.readouterr().out
    assert "top-1" in shown
    assert "4 images without a label were left out" in shown
    record = read_json(tmp_path / "run" / "evaluation.json")
    assert f"over classes: accuracy {record['macro']:.2f} %, F1 {record['macro_f1']:.2f} %" in shown


def test_importing_is_cheap() -> None:
    code = "import sys; from gpt4image.evaluate import EvaluateSettings, evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_runs_look_at_the_same_pixels(make_run: MakeRun, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_kept", {})
    decoded, decode = [], ImageSet.decode
    monkeypatch.setattr(ImageSet, "decode", lambda *given, **how: decoded.append(given) or decode(*given, **how))
    counts = []
    for number, name in enumerate(("one", "two")):
        evaluate(EvaluateSettings(make_run(name, seed=number), str(photos), workers=0, device="cpu"))
        counts.append(len(decoded))
    assert counts == [13 + 8, 13 + 8], "all are read to see which can be, those with a label are shown to the models"

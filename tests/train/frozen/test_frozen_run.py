"""A frozen backbone with a fitted head is an ordinary run: evaluated, exported, and what a slow fit finds."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from sklearn.linear_model import LogisticRegression

from gpt4image.errors import SettingsError
from gpt4image.evaluate import EvaluateSettings, evaluate
from gpt4image.export import ExportSettings, export
from gpt4image.images import open_images
from gpt4image.label import LabelSettings, label
from gpt4image.models.predict import predict
from gpt4image.models.predict_run import predict_run
from gpt4image.runs import BACKBONE, load_head, load_manifest, load_model
from gpt4image.train import TrainSettings, train
from gpt4image.train.frozen import fit

Make = Callable[..., Path]


def settings_of(photos: Path, run: Path, **changes: object) -> TrainSettings:
    values = {"model": "tf_efficientnet_lite0", "pretrained": True, "freeze": True, "input_size": 64, "device": "cpu"}
    return TrainSettings(str(photos), run, **{**values, **changes})


def test_a_frozen_run_is_an_ordinary_run(make_photos: Make, tmp_path: Path) -> None:
    photos = make_photos(12)
    run = train(settings_of(photos, tmp_path / "run")).run
    manifest, images = load_manifest(run), open_images(str(photos))
    quick = predict_run(run, images, device="cpu")
    slow = predict(load_model(run, manifest), images, manifest.data_config, device="cpu")
    assert np.allclose(quick.logits, slow.logits, atol=2e-2 * np.abs(slow.logits).max())
    assert evaluate(EvaluateSettings(run, str(photos), device="cpu")).top1 > 90
    folder = export(ExportSettings(run, tmp_path / "out", images=str(photos))).export
    exported = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(exported(pixels), load_model(run, manifest)(pixels), atol=1e-5)


def test_runs_share_one_backbone_on_disk(make_photos: Make, tmp_path: Path) -> None:
    photos = make_photos(6)
    runs = [train(settings_of(photos, tmp_path / f"run{seed}", seed=seed)).run for seed in (0, 1)]
    assert len({(run / BACKBONE).stat().st_ino for run in runs}) == 1
    again = train(settings_of(photos, tmp_path / "run0"))
    assert not again.redone


def test_the_head_is_the_regression_that_a_slow_fit_finds(make_photos: Make, tmp_path: Path) -> None:
    photos = make_photos(20)
    run = train(settings_of(photos, tmp_path / "run")).run
    outputs = predict_run(run, open_images(str(photos)), device="cpu")
    labels = np.repeat([0, 1], 20)
    slow = LogisticRegression(C=1e-2, max_iter=2000).fit(outputs.features, labels)
    assert (outputs.logits.argmax(1) == slow.predict(outputs.features)).mean() > 0.95


def test_weighed_labels_teach_a_frozen_model(make_photos: Make, tmp_path: Path) -> None:
    photos, work = make_photos(20), tmp_path / "work"
    label(LabelSettings(str(photos), work, prompts=("none",), input_size=64, keep_labels=5, device="cpu"))
    given = train(settings_of(photos, tmp_path / "given", work=work, labels="default", targets="given"))
    weighed = train(settings_of(photos, tmp_path / "weighed", work=work, labels="default"))
    assert (given.num_labelled, weighed.num_labelled) == (10, 40)
    assert load_manifest(weighed.run).labels["states"]["completed"] == 30


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pretrained": False}, "--freeze needs weights to start from: --pretrained or --init-weights FILE"),
        ({"objective": "clip"}, "--objective clip trains the backbone; --freeze leaves it as it is"),
        ({"balance": "sampler"}, "--freeze takes timm models, and --balance none, loss or prior"),
    ],
)
def test_what_cannot_be_frozen_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        settings_of(tmp_path, tmp_path / "run", **changes)


def test_defaults_follow_from_the_weights() -> None:
    nothing, weights = TrainSettings("a", Path("b")), TrainSettings("a", Path("b"), pretrained=True)
    assert (nothing.epochs, nothing.lr, nothing.objective) == (30, 2e-3, "clip")
    assert (weights.epochs, weights.lr, weights.objective) == (10, 5e-4, "none")
    assert TrainSettings("a", Path("b"), pretrained=True, lr=1.0, objective="clip").lr == 1.0


def test_runs_that_teach_the_same_share_a_head(
    make_photos: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, fitted = make_photos(6), []
    fit_head = fit.fit_head
    monkeypatch.setattr(fit, "fit_head", wraps(fit_head)(lambda *given: fitted.append(given) or fit_head(*given)))
    changes: list[dict[str, object]] = [{}, {}, {"seed": 1}, {"smoothing": 0.2}, {"balance": "prior"}]
    runs = [train(settings_of(photos, tmp_path / str(number), **change)).run for number, change in enumerate(changes)]
    assert len(fitted) == 4
    heads = [load_head(run)[0] for run in runs]
    assert np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[3])
    monkeypatch.setattr(fit, "MOST_HEADS", 1)
    for number in (5, 6):
        train(settings_of(photos, tmp_path / str(number), seed=number))
    assert len(fit._shared.popitem()[1].heads) == 1

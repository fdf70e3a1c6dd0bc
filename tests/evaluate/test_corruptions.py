"""Accuracy under corruptions: measured on what the model sees, once, and refused where it cannot be."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.errors import SettingsError
from gpt4image.evaluate import EvaluateSettings, evaluate
from gpt4image.evaluate.corruptions import Corruption, corruption_difference, list_corruptions
from gpt4image.files import read_json
from gpt4image.images import open_images
from gpt4image.models.pixels import EvaluationBatches
from gpt4image.runs import load_manifest

MakeRun = Callable[..., Path]


def test_pictures_are_corrupted_after_the_crop_and_before_they_are_normalised(make_run: MakeRun, photos: Path) -> None:
    images = open_images(str(photos))
    config = load_manifest(make_run()).data_config
    seen = []

    def blacken(image: Image.Image) -> Image.Image:
        seen.append(image.size)
        return Image.new("RGB", image.size)

    pixels = next(iter(EvaluationBatches(images, config, 1, change=blacken)))
    assert seen == [(32, 32)]
    assert (pixels == -2).all()  # (0 - 0.5) / 0.25


def test_corruptions_are_repeatable_and_leave_the_random_state_alone() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 36, 3), dtype=np.uint8))
    np.random.seed(7)  # noqa: NPY002
    first, then = (np.asarray(Corruption("gaussian_noise", 3)(image)) for _ in range(2))
    drawn = np.random.rand()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    assert drawn == np.random.rand()  # noqa: NPY002
    assert (first == then).all()
    assert first.shape == (40, 36, 3)
    stronger = np.asarray(Corruption("gaussian_noise", 5)(image))
    distance = [np.abs(one.astype(int) - np.asarray(image)).mean() for one in (first, stronger)]
    assert 0 < distance[0] < distance[1]


def test_a_run_is_measured_once(make_run: MakeRun, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [Corruption("brightness", 1), Corruption("brightness", 2), Corruption("contrast", 1)]
    monkeypatch.setattr("gpt4image.evaluate.corruptions.list_corruptions", lambda severities: few)
    settings = EvaluateSettings(make_run(), str(photos), workers=0, corruptions=True, severities=(1, 2))
    record = evaluate(settings).corruptions
    by_name = record["by_corruption"]
    assert record["top1"] == pytest.approx((by_name["brightness"] + by_name["contrast"]) / 2)
    path = settings.run / "corruptions.json"
    saved = path.stat().st_mtime_ns
    assert read_json(path)["severities"] == [1, 2]
    assert evaluate(settings).corruptions == record
    assert path.stat().st_mtime_ns == saved
    same = corruption_difference([settings.run], [settings.run])
    assert (same.mean, same.low, same.high) == (0, 0, 0)


def test_what_cannot_be_measured_is_refused(make_run: MakeRun, photos: Path) -> None:
    assert len(list(list_corruptions((1, 3)))) == 30
    with pytest.raises(SettingsError, match="--severities 6: give some of 1 2 3 4 5"):
        list(list_corruptions((6,)))
    run = make_run()
    manifest = read_json(run / "manifest.json")
    manifest["data_config"]["input_size"] = [3, 24, 24]
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SettingsError, match="at least 32 px; this one's is 24 px"):
        evaluate(EvaluateSettings(run, str(photos), workers=0, corruptions=True))

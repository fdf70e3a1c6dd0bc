"""What a pilot says: measured on texts whose worth is known, the rule at its borders, the cost by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gpt4image.describe.store.rows import Description
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import DescriptionError
from gpt4image.forecast import ForecastSettings, forecast
from gpt4image.forecast.outlook import LITTLE, MUCH, look_out
from gpt4image.forecast.pilot import Pilot, Share, jeffreys, measure_pilot, wilson
from gpt4image.images import open_images, scan_images
from gpt4image.label.weigh import Evidence, Vectors

torch.set_num_threads(1)
COLOURS = ("blue", "green", "red")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def draw_texts(accuracy: float, wrong: float, each: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings that tell the true class for a share of images and nothing for the rest; labels; the truth."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), each)
    embeddings = 0.15 * rng.normal(size=(len(truth), 16))
    telling = rng.random(len(truth)) < accuracy
    embeddings[telling] += np.eye(4, 16)[truth[telling]]
    labels = truth.copy()
    spoilt = rng.random(len(truth)) < wrong
    labels[spoilt] = (truth[spoilt] + rng.integers(1, 4, spoilt.sum())) % 4
    return embeddings, labels, truth


def make_evidence(embeddings: np.ndarray, labels: np.ndarray) -> Evidence:
    texts = Vectors("own", "text", embeddings.astype(np.float32), np.arange(len(labels)))
    return Evidence(4, labels, texts=(texts,))


SINGLE = "with texts as the only witness, and few of them, wrong labels are taken for texts that say little"


@pytest.mark.parametrize("wrong", [0.0, pytest.param(0.3, marks=pytest.mark.xfail(reason=SINGLE, strict=True))])
def test_wrong_labels_are_estimated_and_overruled(wrong: float) -> None:
    embeddings, labels, truth = draw_texts(0.9, wrong)
    pilot = measure_pilot(make_evidence(embeddings, labels))
    assert pilot.noise.low <= wrong <= pilot.noise.high
    assert pilot.noise.high - pilot.noise.low < 0.25
    assert pilot.noise.value == pytest.approx(wrong, abs=0.07)
    share_wrong = (labels != truth).mean()
    assert pilot.contradicted.value == pytest.approx(0.9 * share_wrong, abs=0.08)
    assert pilot.labels_right.value > 1 - share_wrong + 0.6 * share_wrong - 0.01


def test_texts_that_say_nothing_are_called_weak() -> None:
    embeddings, labels, _ = draw_texts(0.0, 0.3)
    pilot = measure_pilot(make_evidence(embeddings, labels))
    assert pilot.agreement.low < 0.25 < 2 * pilot.chance
    assert look_out(pilot, 2000, 0, 1.0).finding == "weak texts"


def test_wilson_by_hand() -> None:
    """9 of 10: (p + z²/2n ± z sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96."""
    share = wilson(9, 10)
    assert (share.low, share.high) == (pytest.approx(0.5958, abs=1e-4), pytest.approx(0.9821, abs=1e-4))


def make_pilot(noise: float, right: float, accuracy: float = 0.9) -> Pilot:
    sure = Share(noise, max(noise - 0.02, 0), noise + 0.02)
    agreement = Share(accuracy, accuracy - 0.05, accuracy + 0.05)
    witnesses = {"own": Share(accuracy, accuracy - 0.05, accuracy + 0.05)}
    return Pilot(witnesses, agreement, 0.25, sure, Share(0, 0, 0), Share(right, right, right))


@pytest.mark.parametrize(
    ("pilot", "unlabelled", "finding", "words"),
    [
        (make_pilot(0.0, 1.0), 0, "none", "little to add"),
        (make_pilot(0.4, 0.9), 0, "gain", r"by 1\.5"),
        (make_pilot(0.2, 0.98), 0, "unclear", r"1\.2 to 1\.2"),
        (make_pilot(0.3, 0.75), 0, "unclear", r"1\.0 to 1\.1"),
        (make_pilot(0.0, 1.0), 9000, "gain", r"by 9\.1"),
        (make_pilot(0.4, 0.6, 0.3), 0, "weak texts", "guessing"),
        (None, 0, "not measured", "too few"),
    ],
)
def test_rule(pilot: Pilot | None, unlabelled: int, finding: str, words: str) -> None:
    import re

    outlook = look_out(pilot, 1000, unlabelled, 1.0)
    assert outlook.finding == finding
    assert re.search(words, outlook.words)
    assert 1 < LITTLE < MUCH


def test_without_any_label_only_texts_teach() -> None:
    assert look_out(None, 0, 1000, 1.0).finding == "texts only"


@pytest.fixture
def pilot_set(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    """60 images in three classes, 30 of them described at 100 + 20 tokens each."""

    def make() -> tuple[Path, Path]:
        rng = np.random.default_rng(0)
        for name in COLOURS:
            (tmp_path / "photos" / name).mkdir(parents=True)
            for number in range(20):
                pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
        images = open_images(str(tmp_path / "photos"))
        digests = scan_images(images).digests
        with DescriptionStore.open(tmp_path / "work", create=True) as store:
            for index in range(60):
                if index % 20 < 10:
                    text = f"A {images.class_name(index)} square, number {index}."
                    store.write([Description(digests[index], "own", "m", text=text, tokens_in=100, tokens_out=20)])
        return tmp_path / "photos", tmp_path / "work"

    return make


def test_forecast_from_a_store(pilot_set: Callable[[], tuple[Path, Path]]) -> None:
    photos, work = pilot_set()
    result = forecast(ForecastSettings(str(photos), work, usd_per_million_input=2.0, usd_per_million_output=10.0))
    assert (result.images, result.labelled, result.described, result.fewest) == (60, 60, 30, 10)
    assert result.pilot.agreement.value > 0.9
    (rest,) = result.remaining
    assert (rest.missing, rest.tokens_in, rest.tokens_out) == (30, 3000, 600)
    assert rest.usd == pytest.approx(3000 * 2e-6 + 600 * 10e-6)
    assert result.outlook.finding == "none"
    record = json.loads(result.to_json())
    assert record["pilot"]["agreement"]["low"] < record["pilot"]["agreement"]["value"]
    assert any("none: the labels are there" in line for line in result.lines() if isinstance(line, str))
    titles = [line.title for line in result.lines() if not isinstance(line, str)]
    assert titles[0] == "Pilot (shares of images, not means over classes)"


def test_picks_alone_make_a_pilot(pilot_set: Callable[[], tuple[Path, Path]], tmp_path: Path) -> None:
    """Nothing is embedded; 27 of 30 picks name the given label."""
    photos, _ = pilot_set()
    images = open_images(str(photos))
    digests = scan_images(images).digests
    with DescriptionStore.open(tmp_path / "picks", create=True) as store:
        for index in (index for index in range(60) if index % 20 < 10):
            named = COLOURS[(int(images.labels[index]) + (index % 20 == 0)) % 3]
            store.write([Description(digests[index], "pick_class@1", "m", text=named)])
    result = forecast(ForecastSettings(str(photos), tmp_path / "picks"))
    assert (result.described, result.fewest, result.remaining[0].missing) == (30, 10, 30)
    assert list(result.pilot.witnesses) == ["pick:pick_class@1 by m"]
    assert result.pilot.agreement == wilson(27, 30)
    assert not (tmp_path / "picks" / "embeddings").exists()


def test_nothing_described_says_how_to_make_a_pilot(pilot_set: Callable, tmp_path: Path) -> None:
    photos, _ = pilot_set()
    with pytest.raises(DescriptionError, match=r"describe a pilot first: gpt4image describe .* --limit 30"):
        forecast(ForecastSettings(str(photos), tmp_path / "empty"))


def test_jeffreys_by_quantiles_of_beta() -> None:
    """Jeffreys interval of n = 10: 0 of 10 up to 0.217, 3 of 10 from 0.093 to 0.606."""
    assert (jeffreys(0, 10).low, jeffreys(0, 10).high) == (0, pytest.approx(0.217, abs=1e-3))
    share = jeffreys(3, 10)
    assert (share.low, share.high) == (pytest.approx(0.093, abs=1e-3), pytest.approx(0.606, abs=1e-3))

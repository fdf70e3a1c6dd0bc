"""How often a description finds its image: against a slow loop, through the command, and what is refused."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from gpt4image.embed.table import save_table
from gpt4image.errors import DescriptionError, RunError
from gpt4image.evaluate import EvaluateSettings, evaluate, retrieval
from gpt4image.evaluate.retrieval import compute_recalls
from gpt4image.files import read_json, write_json
from gpt4image.images import open_images, scan_images
from gpt4image.models.predict import predict
from gpt4image.runs import load_manifest, load_model


@pytest.mark.parametrize("scores_at_once", [1, 7 * 40, 1 << 24])
def test_recalls_against_a_loop(scores_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text at once, seven (the last time fewer), or all."""
    monkeypatch.setattr(retrieval, "SCORES_AT_ONCE", scores_at_once)
    rng = np.random.default_rng(0)
    projected, owners = rng.normal(size=(40, 6)), np.repeat(np.arange(40), 2)
    vectors = projected[owners] + rng.normal(size=(80, 6))
    ranks = []
    for text, owner in zip(vectors - vectors.mean(0), owners, strict=True):
        cosines = [text @ image / np.linalg.norm(image) for image in projected - projected.mean(0)]
        ranks.append(sum(cosine >= cosines[owner] for cosine in cosines))
    expected = {f"R@{top}": 100 * np.mean([rank <= top for rank in ranks]) for top in (1, 5)}
    assert compute_recalls(projected, vectors, owners) == pytest.approx(expected)
    assert 0 < expected["R@1"] < expected["R@5"] < 100


def test_images_that_look_the_same_to_a_model_are_not_found() -> None:
    """Otherwise a model that says the same of all images would find each of them."""
    assert compute_recalls(np.ones((20, 3)), np.eye(20, 3), np.arange(20)) == {"R@1": 0.0, "R@5": 0.0}


def test_many_images_stay_in_memory() -> None:
    rng = np.random.default_rng(1)
    images, owners = rng.normal(size=(100_000, 2)).astype(np.float32), np.arange(1024)
    tracemalloc.start()
    recalls = compute_recalls(images, images[owners], owners)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 150e6
    assert 0 <= recalls["R@1"] <= recalls["R@5"] <= 100


@pytest.fixture
def run(make_run: Callable[..., Path], photos: Path, tmp_path: Path) -> Path:
    """A run whose projector sends each image to its own text, and a work folder with two texts an image."""
    run = make_run()
    images = open_images(str(photos))
    scan = scan_images(images)
    digests, readable = scan.digests, np.flatnonzero(scan.readable)
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(len(readable), 4)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    manifest = load_manifest(run)
    features = predict(load_model(run, manifest), images.subset(readable), manifest.data_config).features
    weight = np.linalg.lstsq(features, texts, rcond=None)[0].T
    weights = {"0.weight": np.ascontiguousarray(weight), "0.bias": np.zeros(4, np.float32)}
    save_file(weights, run / "projector.safetensors")
    write_json(run / "manifest.json", read_json(run / "manifest.json") | {"text": {"table": {"encoder": "random"}}})
    owners = np.repeat(np.arange(len(readable)), 2)
    rows = {
        "digest": [digests[readable[owner]] for owner in owners],
        "prompt": ["short", "long"] * len(readable),
        "text_hash": [f"{row:016x}" for row in range(len(owners))],
    }
    table = {"encoder": "random", "prompts": ["short", "long"]}
    save_table(tmp_path / "work" / "embeddings" / "texts", texts[owners], pa.table(rows), table)
    return run


def test_of_the_command(run: Path, photos: Path, tmp_path: Path) -> None:
    settings = EvaluateSettings(run, str(photos), workers=0, work=tmp_path / "work")
    result = evaluate(settings)
    assert result.retrieval["recalls"] == {"R@1": 100.0, "R@5": 100.0}
    assert (result.retrieval["images"], result.retrieval["texts"]) == (8, 16)
    line = (
        "a description finds its image: R@1 100.0 %, R@5 100.0 % (by chance 12.5 %, 62.5 %; 16 descriptions, 8 images)"
    )
    assert line in list(result.lines())
    own = read_json(run / "retrieval.json")
    write_json(run / "retrieval.json", own | {"recalls": {"R@1": 7.0, "R@5": 7.0}})
    assert evaluate(settings).retrieval["recalls"]["R@1"] == 7.0, "what is known is not measured again"
    shorter = EvaluateSettings(run, str(photos), workers=0, work=tmp_path / "work", prompts=("short",))
    assert evaluate(shorter).retrieval["texts"] == 8


def test_a_model_looks_once_at_what_is_tested_and_found(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(
        "gpt4image.models.predict_run.predict",
        lambda model, images, *args, **how: looks.append(len(images)) or predict(model, images, *args, **how),
    )
    evaluate(EvaluateSettings(run, str(photos), workers=0, work=tmp_path / "work"))
    assert looks == [8]


def test_what_cannot_be_measured_is_said(run: Path, photos: Path, tmp_path: Path) -> None:
    settings = EvaluateSettings(run, str(photos), workers=0, work=tmp_path / "work")
    record = read_json(run / "manifest.json")
    write_json(run / "manifest.json", record | {"text": {"table": {"encoder": "minilm"}}})
    with pytest.raises(DescriptionError, match=r"made by the encoder random, .* was trained with minilm"):
        evaluate(settings)
    (run / "projector.safetensors").unlink()
    with pytest.raises(RunError, match="has no projector"):
        evaluate(settings)

"""Search with the real text encoder: a projector fitted to the texts finds what they describe."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from gpt4image.cli import main
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.files import read_json, write_json
from gpt4image.images import open_images
from gpt4image.models.predict import predict
from gpt4image.report.search import SearchSettings, search
from gpt4image.runs import load_manifest, load_model

WORDS = {"disc": "a round disc", "frame": "an empty square frame", "stripes": "vertical stripes"}


@pytest.fixture(scope="module")
def run(made_comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The aligned run, its projector replaced by the linear map that sends the test images to their class's text."""
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("search") / "run"
    shutil.copytree(made_comparison / "runs" / "aligned-seed0", run)
    manifest = load_manifest(run)
    images = open_images(str(made_comparison.parent / "test"))
    features = predict(load_model(run, manifest), images, manifest.data_config).features
    texts = load_encoder("minilm", "cpu").encode(list(WORDS.values()))[images.labels]
    weight = np.linalg.pinv(features) @ texts
    record = read_json(run / "manifest.json")
    write_json(run / "manifest.json", record | {"text": {"table": {"encoder": "minilm"}}})
    weights = {"0.weight": np.ascontiguousarray(weight.T, dtype=np.float32)}
    save_file(weights | {"0.bias": np.zeros(weight.shape[1], np.float32)}, run / "projector.safetensors")
    return run


def test_finds_what_the_text_says_and_names_new_classes(run: Path, made_comparison: Path, tmp_path: Path) -> None:
    test = str(made_comparison.parent / "test")
    settings = SearchSettings(
        run,
        test,
        "stripes",
        tuple(WORDS.values()),
        top=8,
        page=tmp_path / "found.html",
        csv=tmp_path / "all.csv",
        workers=0,
    )
    result = search(settings)
    assert [one.key.partition("/")[0] for one in result.found] == ["stripes"] * 8
    assert result.label_counts == {"a round disc": 10, "an empty square frame": 10, "vertical stripes": 10}
    assert result.found[0].label == "vertical stripes"
    page = (tmp_path / "found.html").read_text()
    assert page.count("<li class") == 8
    assert "best 8 of 30 images" in page
    rows = (tmp_path / "all.csv").read_text().splitlines()
    assert (rows[0], len(rows)) == ("key,score,label", 31)

    cached = list((run / "search").glob("*.npy"))
    assert len(cached) == 1
    changed_ns = cached[0].stat().st_mtime_ns
    assert search(settings).found == result.found
    assert cached[0].stat().st_mtime_ns == changed_ns


def test_mistakes_are_one_line(run: Path, made_comparison: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test, baseline = str(made_comparison.parent / "test"), made_comparison / "runs" / "baseline-seed0"
    for arguments, words in (
        ([str(baseline), test, "stripes"], "has no projector to text embeddings; give a run trained with descriptions"),
        ([str(run), test, " "], "the text to look for is empty"),
        ([str(run), test, "x", "--labels", "one"], "--labels has only 'one'; give at least 2"),
        ([str(run), test, "x", "--top", "0"], "--top is 0; it must be at least 1"),
        ([str(run), test, "x", "--encoder", "abacus"], "there is no text encoder 'abacus'"),
    ):
        assert main(["search", *arguments]) == 2
        assert words in capsys.readouterr().err

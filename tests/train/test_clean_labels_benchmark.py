"""benchmarks/clean_labels.py asks its questions on a GPU and on large sets: in small, it runs on a processor."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "clean_labels.py"
SHAPES = ("bag", "hat", "shoe")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Does what the script does, in this process; `run`, which begins others, in one of its own."""
    monkeypatch.syspath_prepend(BENCHMARK.parent)

    def start(*arguments: str | Path) -> str:
        words = [str(BENCHMARK), *map(str, arguments)]
        if words[1] == "run":
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            ran = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=600)
            assert ran.returncode == 0, ran.stderr[-2000:]
            return ran.stdout
        monkeypatch.setattr(sys, "argv", words)
        importlib.import_module("clean_labels").main()
        return capsys.readouterr().out

    return start


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of three patterns in two colours: 8 of each marked small, 52 others, 5 of the test set."""
    folder, rng, rows = tmp_path_factory.mktemp("shop"), np.random.default_rng(0), []
    for name in SHAPES:
        for number in range(65):
            path = f"{'train' if number < 60 else 'test'}/{name}{number}.png"
            colour = ("red", "blue")[number % 2]
            pixels = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8)
            striped = pixels[::4] if name == "bag" else pixels[:, ::4] if name == "hat" else pixels
            striped[..., 0 if colour == "red" else 2] += 150
            (folder / path).parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / path)
            texts = {"description": f"A {colour} {name}.", "attributes": f"{name} in {colour}"}
            row = {"path": path, "label": name, "small": number < 8, "shop_attributes": {"colour": colour}}
            rows.append(row | texts)
    file = folder / "list.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def test_the_map_of_clean_labels_runs_in_small_on_a_processor(
    listed: Path, tmp_path: Path, call: Callable[..., str]
) -> None:
    """Packed with the photos of the test set, trained, probed and shown; a list may lack attributes."""
    packed, results = tmp_path / "pack.npz", tmp_path / "results.jsonl"
    assert "{'training': 24, 'probe': 78, 'test': 15}, 3 classes" in call("pack", listed, packed, "--final")
    arms, how = ("plain", "sentence_tokens", "project"), ("--seeds", "1", "--size", "32", "--batch", "8")
    call("run", packed, results, "--cells", "cnn:8:20", "vit:8:1", "--arms", *arms, *how, "--workers", "1")
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert {(line["net"], line["arm"]) for line in lines} == {(net, arm) for net in ("cnn", "vit") for arm in arms}
    assert all(line["n"] == 15 and line["device"] == "cpu" for line in lines)
    assert all(0 <= line["linear"]["colour"] <= 100 and set(line["linear"]) == {"colour"} for line in lines)
    assert np.mean([line["top1"] for line in lines if line["net"] == "cnn"]) > 50  # Guessing gives 33.
    shown = call("show", results)
    assert shown.count("| plain |") == 2
    assert shown.count("| project | 1 |") == 2

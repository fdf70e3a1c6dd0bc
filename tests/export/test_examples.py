"""The examples that use an export run as their readers would run them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gpt4image.evaluate import EvaluateSettings, evaluate
from gpt4image.evaluate.record import load_predictions
from gpt4image.export import ExportSettings, export

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1"}).stdout


def test_predict_says_what_evaluate_says(make_run: Callable[..., Path], photos: Path, tmp_path: Path) -> None:
    run = make_run(size=64)
    exported = export(ExportSettings(run, tmp_path / "export", onnx=True)).export
    evaluate(EvaluateSettings(run, str(photos), workers=0))
    names = sorted(photos.glob("*/*.png"))
    expected = [["cat", "dog", "owl"][number] for number in load_predictions(run).logits.argmax(1)]
    for model in (exported, exported / "model.onnx"):
        answers = [line.rpartition(" ")[2] for line in _run("predict.py", model, *names).splitlines()]
        assert answers == expected


def test_segmentation_on_the_features_learns(make_run: Callable[..., Path], tmp_path: Path) -> None:
    exported = export(ExportSettings(make_run(size=64), tmp_path / "export")).export
    lines = _run("segmentation.py", exported).splitlines()
    before, after = (float(line.rpartition(" ")[2]) for line in (lines[0], lines[-1]))
    assert before < 0.4
    assert after > 0.7

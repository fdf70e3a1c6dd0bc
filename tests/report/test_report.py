"""The report as a file: what it says, that it needs nothing else, and what it does when things are missing."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gpt4image.cli import main
from gpt4image.errors import SettingsError
from gpt4image.files import read_json, write_json
from gpt4image.models import pixels
from gpt4image.models.pixels import EvaluationImages
from gpt4image.report import ReportSettings, report, write_report
from gpt4image.report.inside import inside
from gpt4image.report.inside.examples import Changes
from gpt4image.report.page import format_usd


@pytest.fixture(scope="module")
def page(made_comparison: Path) -> str:
    return write_report(made_comparison).read_text(encoding="utf-8")


def test_verdict_comes_first_and_numbers_follow(page: str) -> None:
    body = page[page.index("<main") :]
    heading = re.search(r"<h1>(.*?)</h1>", body)
    assert heading is not None
    assert heading[1] == "Descriptions help: +2.0 points."
    assert body.index("</h1>") < body.index("95 % interval +0.5 to +3.5") < body.index("<table")
    for words in (
        "control: texts of other images",
        "estimated 88 % of the given labels",
        '<th scope="row">given labels</th><td class="n">87.5</td><td class="n">80.0 to 93.0</td>',
        "62 min",
        "2 January 2026, 03:04",
        "Clean labels",
        "tiny-vlm",
    ):
        assert words in page


def test_models_look_at_a_sample_and_share_its_pixels(made_comparison: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of test images with kept features none is decoded; without, a situation decodes 6, once for both models."""
    seen: list[int] = []
    decode = EvaluationImages.__getitem__
    monkeypatch.setattr(EvaluationImages, "__getitem__", lambda self, index: seen.append(index) or decode(self, index))
    monkeypatch.setattr(inside, "NUM_MAPPED", 6)
    monkeypatch.setattr(inside, "find_changes", lambda *sides: Changes([], [], 0, 0))
    pixels._kept.clear()
    write_report(made_comparison)
    situations, training = 2, 24
    assert len(seen) == training, "kept for the second situation"
    monkeypatch.setattr(inside, "load_features", lambda run, digests: None)
    seen.clear()
    pixels._kept.clear()
    write_report(made_comparison)
    assert len(seen) == situations * (6 + training)


def test_shows_every_part(page: str) -> None:
    for words in (
        "Top-1 on training batches",
        "Loss of the texts",
        "<figcaption>Calibration",
        "Class by class",
        "Right with aligned, wrong with baseline",
        "Nearest training image",
        "What the model sees, in words",
        "nearest neighbour of the same class",
        "All 3 settings of the recipe",
    ):
        assert words in page


def test_measures_over_classes_stand_beside_top1(comparison: Path) -> None:
    record = read_json(comparison / "comparison.json")
    for run in record["situations"][0]["arms"]["aligned"]["runs"]:
        run |= {"top1": 71.25, "macro": 61.25, "macro_f1": 51.25}
    write_json(comparison / "comparison.json", record)
    page = report(ReportSettings(comparison, look_inside=False)).report.read_text(encoding="utf-8")
    assert re.search(r'<td class="n">61\.\d+</td><td class="n">51\.\d+</td>', page)


def test_descriptions_say_where_they_come_from_and_what_they_took(page: str, made_comparison: Path) -> None:
    table = page[page.index("<h3>Descriptions</h3>") : page.index('id="reading"')]
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", table))
    assert facts.pop("written").endswith(str(datetime.now(UTC).year))
    assert facts == {
        "prompt": "<strong>detailed@1</strong>: Describe this image in detail.",
        "describer": "tiny-vlm",
        "descriptions": "24",
        "failed": "1 refused",
        "tokens": "12,500 read, 1,200 written",
        "requests": "25, 1.5 s a description",
    } | {name: value for name, value in facts.items() if name.startswith("<code>")}
    assert "USD" not in table
    assert "--usd-per-million-input" in table
    assert "tags@1" not in table
    settings = ReportSettings(
        made_comparison, look_inside=False, usd_per_million_input=2.0, usd_per_million_output=100.0
    )
    assert ">0.14 USD<" in report(settings).report.read_text(), "12,500 x 2 + 1,200 x 100 millionths"


@pytest.mark.parametrize(
    ("amount", "words"), [(0.0, "0.00"), (0.004216, "0.0042"), (0.1, "0.10"), (1234.5, "1,234.50")]
)
def test_small_amounts_of_money_keep_two_digits(amount: float, words: str) -> None:
    assert format_usd(amount) == f"{words} USD"


def test_a_comparison_that_was_moved_still_finds_what_it_holds(comparison: Path, made_comparison: Path) -> None:
    shutil.copytree(made_comparison.parent / "work", comparison / "work")
    for path in comparison.glob("runs/aligned*/manifest.json"):
        record = read_json(path)
        write_json(path, record | {"text": record["text"] | {"embeddings": "/gone/comparison/work/embeddings/tiny"}})
    page = write_report(comparison).read_text()
    assert "What the model sees, in words" in page
    assert "<h3>Descriptions</h3>" in page


def test_umap_says_what_it_needs(made_comparison: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt4image.report.stage.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"--feature-map umap needs umap-learn; pip install 'gpt4image\[umap\]'"):
        report(ReportSettings(made_comparison, feature_map="umap"))


def test_nothing_is_loaded_and_nothing_is_injected(page: str) -> None:
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?:https?:)?//""", page)
    assert "default-src 'none'" in page
    assert "<b>sharp" not in page
    assert "&lt;b&gt;sharp&lt;/b&gt; edges" in page
    assert "Shapes &amp; &lt;signs&gt;" in page
    assert len(page) < 400_000


def test_without_projector_texts_and_test_images(comparison: Path) -> None:
    for path in comparison.glob("runs/*/projector.safetensors"):
        path.unlink()
    result = report(ReportSettings(comparison))
    assert any("no projector" in note for note in result.notes)
    page = result.report.read_text()
    assert "Nearest training image" in page
    assert "What the model sees" not in page

    for path in comparison.glob("runs/aligned*/manifest.json"):
        write_json(path, read_json(path) | {"text": {"embeddings": "gone"}})
    assert any(
        "descriptions of the training images were not found" in note
        for note in report(ReportSettings(comparison)).notes
    )

    record = read_json(comparison / "comparison.json")
    write_json(comparison / "comparison.json", record | {"test_images": "/nowhere"})
    result = report(ReportSettings(comparison))
    assert any("(/nowhere) were not found" in note for note in result.notes)
    assert "Class by class" in result.report.read_text()


def test_numbers_alone_make_a_report(comparison: Path) -> None:
    shutil.rmtree(comparison / "runs")
    record = read_json(comparison / "comparison.json")
    del record["situations"][0]["differences"]
    record["situations"][0]["arms"]["baseline"]["top1_mean"] = None
    write_json(comparison / "comparison.json", record)
    result = report(ReportSettings(comparison))
    assert any("does not exist" in note for note in result.notes)
    assert "Descriptions help" in result.report.read_text()


def test_one_seed_is_said_to_be_too_few(comparison: Path, page: str) -> None:
    assert "One seed" not in page
    record = read_json(comparison / "comparison.json")
    for situation in record["situations"]:
        for arm in situation["arms"].values():
            del arm["runs"][1:]
    write_json(comparison / "comparison.json", record)
    assert "the intervals are over test images only" in report(ReportSettings(comparison)).report.read_text()


def test_models_look_where_they_are_told_to(comparison: Path) -> None:
    notes = report(ReportSettings(comparison, device="cuda:99")).notes
    assert any("device 'cuda:99' cannot be used here" in note for note in notes)


def test_look_inside_can_be_left_out(comparison: Path) -> None:
    page = report(ReportSettings(comparison, look_inside=False)).report.read_text()
    assert "Right with aligned" not in page
    assert "Class by class" in page


def test_mistakes_are_one_line(comparison: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(comparison / "runs")]) == 2
    assert "is no comparison (it holds no comparison.json)" in capsys.readouterr().err
    (comparison / "comparison.json").write_text('{"situations": [{"name": "x"}]}')
    assert main(["report", str(comparison)]) == 2
    assert "cannot be read as a comparison (KeyError('arms'))" in capsys.readouterr().err

"""k-NN and linear probe against slow versions and on images that features tell apart."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.cli import main
from gpt4image.evaluate.transfer import TransferSettings, choose_strength, predict_knn, predict_linear, transfer
from gpt4image.files import read_json


def test_knn_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    training, labels, test = rng.normal(size=(60, 5)), rng.integers(0, 4, 60), rng.normal(size=(15, 5))
    expected = []
    for row in test:
        cosines = [float(row @ other / np.linalg.norm(row) / np.linalg.norm(other)) for other in training]
        votes = dict.fromkeys(range(4), 0.0)
        for index in sorted(range(60), key=lambda i: -cosines[i])[:20]:
            votes[labels[index]] += np.exp(cosines[index] / 0.07)
        expected.append(max(votes, key=votes.__getitem__))
    assert predict_knn(training, labels, test).tolist() == expected


def test_linear_probe_finds_a_direction_that_neighbours_do_not() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(400, 20)) * np.r_[0.05, np.ones(19) * 5]
    labels = (features[:, 0] > 0).astype(np.int64)
    strength, _ = choose_strength(features[:300], labels[:300])
    assert (predict_linear(features[:300], labels[:300], features[300:], strength) == labels[300:]).mean() > 0.9
    assert (predict_knn(features[:300], labels[:300], features[300:]) == labels[300:]).mean() < 0.7


@pytest.mark.parametrize("block", [1, 7 * 60, 1 << 20])
def test_knn_is_the_same_in_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    training, labels, test = rng.normal(size=(60, 5)), rng.integers(0, 4, 60), rng.normal(size=(50, 5))
    whole = predict_knn(training, labels, test)
    monkeypatch.setattr("gpt4image.evaluate.transfer.SIMILARITIES", block)
    assert predict_knn(training, labels, test).tolist() == whole.tolist()


def test_knn_of_many_images_stays_in_memory() -> None:
    rng = np.random.default_rng(3)
    training, labels, test = rng.normal(size=(50_000, 2)), rng.integers(0, 4, 50_000), rng.normal(size=(2000, 2))
    tracemalloc.start()
    predict_knn(training.astype(np.float32), labels, test.astype(np.float32))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 300e6


@pytest.mark.parametrize(
    ("per_class", "words"),
    [(1, "has only one training image"), (2, "over 2 folds"), (4, "over 4 folds"), (5, "on a fifth of the training")],
)
def test_a_probe_on_few_images_a_class(per_class: int, words: str) -> None:
    """Ten classes a corner each; class 3 has `per_class` images, the others six."""
    labels = np.repeat(np.arange(10), [per_class if label == 3 else 6 for label in range(10)])
    features = np.eye(10)[labels] + np.random.default_rng(4).normal(0, 0.05, (len(labels), 10))
    strength, choice = choose_strength(features, labels)
    assert words in choice
    assert predict_linear(features, labels, np.eye(10), strength).tolist() == list(range(10))


@pytest.mark.parametrize("per_class", [2, 4])
def test_a_small_set_of_many_classes(per_class: int) -> None:
    """A fifth of it holds fewer images than there are classes."""
    labels = np.repeat(np.arange(12), per_class)
    features = np.eye(12)[labels] + np.random.default_rng(5).normal(0, 0.05, (len(labels), 12))
    assert f"over {per_class} folds" in choose_strength(features, labels)[1]


def _photos(root: Path, count: int, colours: dict[str, tuple[int, int, int]]) -> str:
    rng = np.random.default_rng(count)
    for name, colour in colours.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(np.array(colour) + rng.normal(0, 8, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return str(root)


def test_other_classes_than_the_model_knows(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colours = {"red": (220, 40, 40), "blue": (40, 40, 220)}
    training, test = _photos(tmp_path / "a", 8, colours), _photos(tmp_path / "b", 5, colours)
    run = make_run()
    result = transfer(TransferSettings(run, training, test, workers=0))
    label = result.probes["label"]
    assert (label.knn, label.linear, label.num_training, label.n) == (100, 100, 16, 10)
    assert read_json(run / "transfer.json")["probes"]["label"]["linear"] == 100
    other = _photos(tmp_path / "c", 1, {"green": (0, 200, 0)})
    assert main(["transfer", str(run), training, other]) == 2
    assert "'green', but the classes are 'blue', 'red'" in capsys.readouterr().err
    assert main(["transfer", str(run), other, other]) == 2
    assert f"{other} has readable labelled images of one class only" in capsys.readouterr().err
    assert main(["transfer", str(run), training, test, "--name", "../x"]) == 2
    assert "'../x' cannot stand in a file name" in capsys.readouterr().err


def _list(root: Path, rows: list[tuple[str, str, str]]) -> str:
    """A list of plain pictures: shade, and the values of the columns tone and size; blank for none."""
    lines = ["path,tone,size,one"]
    root.mkdir()
    for number, (shade, tone, size) in enumerate(rows):
        Image.new("RGB", (32, 32), shade).save(root / f"{number}.png")
        lines.append(f"{number}.png,{tone},{size},same")
    (root / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    return str(root / "list.csv")


def test_columns_are_probed_one_by_one(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tone is what is seen, size has blanks, and a value that only a test image has is counted and left out."""
    training = _list(tmp_path / "a", [("red", "warm", "big"), ("blue", "cold", ""), ("blue", "cold", "small")] * 6)
    test = _list(tmp_path / "b", [("red", "warm", ""), ("blue", "cold", "huge"), ("blue", "cold", "small")])
    run = make_run()
    probes = transfer(TransferSettings(run, training, test, ("tone", "size"), workers=0)).probes
    tone, size = probes["tone"], probes["size"]
    assert (tone.knn, tone.linear, tone.num_training, tone.n, tone.missing, tone.unknown) == (100, 100, 18, 3, 0, 0)
    assert (size.num_training, size.n, size.missing, size.unknown) == (12, 1, 7, 1)
    assert main(["transfer", str(run), training, test, "--workers", "0", "--columns", "tone", "size"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in shown if line and line[0] in ("tone", "size")] == ["tone", "size"]


@pytest.mark.parametrize(
    ("column", "words"), [("hue", "has no column 'hue'; --columns takes tone, size"), ("one", "has 1 values in")]
)
def test_columns_that_cannot_be_probed(
    column: str, words: str, make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = _list(tmp_path / "a", [("red", "warm", "big"), ("blue", "cold", "small")])
    assert main(["transfer", str(make_run()), images, images, "--columns", column]) == 2
    assert words in capsys.readouterr().err

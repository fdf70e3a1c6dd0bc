"""The casting vote of the images: stripes that run down or across, with noise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.images import open_images
from gpt4image.label.reader import read_texts, scale_features
from gpt4image.label.witness import LEAST, Witness, describe_edges


def draw_stripes(across: bool, rng: np.random.Generator) -> Image.Image:
    wave = 40 * np.sin(np.arange(40) * rng.uniform(0.5, 1.5) + rng.uniform(0, 6))
    pixels = 128 + np.broadcast_to(wave[:, None] if across else wave, (40, 40)) + rng.normal(0, 60, (40, 40))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert("RGB")


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    """40 images with stripes down, 40 with stripes across, by their true class."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(40):
            draw_stripes(name == "b", rng).save(tmp_path / name / f"{number:02}.png")
    return Witness(open_images(str(tmp_path)), np.arange(80))


def test_contested_images_are_given_to_the_class_they_look_like(witness: Witness) -> None:
    of_a, of_b = np.arange(25), np.arange(40, 65)
    assert witness.weigh(of_a, of_b, np.arange(25, 40)) > 5
    assert witness.weigh(of_a, of_b, np.arange(65, 80)) < -5


def test_too_few_images_are_no_evidence(witness: Witness) -> None:
    assert witness.weigh(np.arange(LEAST - 1), np.arange(40, 65), np.arange(25, 40)) == -np.inf


def test_edges_tell_the_direction() -> None:
    """A ramp from left to right has its whole gradient in the bin of angle 0."""
    ramp = np.broadcast_to(np.linspace(0, 1, 32), (32, 32))
    histograms = describe_edges(ramp).reshape(8, 8, 8)
    assert (histograms.argmax(2) == 0).all()
    assert (histograms[..., 1:] == 0).all()
    assert (describe_edges(ramp.T).reshape(8, 8, 8).argmax(2) == 4).all()


@pytest.mark.parametrize("wrong", ["labels", "texts"])
def test_the_reader_corrects_labels_and_not_what_the_describer_took_for_something_else(
    tmp_path: Path, wrong: str
) -> None:
    """40 of 100 images of class a have the label b, or a text like those of class b: texts and labels look alike."""
    rng = np.random.default_rng(1)
    true, disturbed = np.repeat(np.arange(4), 100), np.repeat(np.arange(4), 100)
    disturbed[60:100] = 1
    for name in "abcd":
        (tmp_path / name).mkdir()
        for number in range(100 if name in "ab" else 1):
            draw_stripes(name == "b", rng).save(tmp_path / name / f"{number:02}.png")
    # The images of the classes c and d are not asked for.
    witness = Witness(open_images(str(tmp_path)), np.minimum(np.arange(400), 200))
    labels, described = (disturbed, true) if wrong == "labels" else (true, disturbed)
    vectors = rng.normal(size=(4, 16))[described] + rng.normal(size=(400, 16))
    features, _ = scale_features(vectors, None)
    alone = read_texts(features, labels, 4, None, seed=0).calibration.confusions
    asked = read_texts(features, labels, 4, None, 0, witness).calibration.confusions
    confused = [0, 1] if wrong == "labels" else [1, 0]
    assert np.argwhere(alone).tolist() == [confused]
    assert np.argwhere(asked).tolist() == ([confused] if wrong == "labels" else [])

"""Texts that are no more than a class name: of the given label, or as a describer picked it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpt4image.describe.store.rows import DescribedImage, Description
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.embed.class_names import FILE_NAME
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import DescriptionError
from gpt4image.images import UNLABELLED, open_images, scan_images
from gpt4image.label.class_texts import match_class
from gpt4image.train import TrainSettings
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.targets.classes import compute_class_targets

Tiny = Callable[..., TrainSettings]
Make = Callable[..., Path]

CLASSES = ["shirt", "t-shirt", "ankle boot", "rain_coat", "no parking"]


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("shirt", 0),
        (" T-Shirt.\n", 1),
        ("**Ankle  boot**", 2),
        ("It is an ankle boot.", 2),
        ("Rain coat", 3),
        ("no parking", 4),
        ("shirt or t-shirt", UNLABELLED),
        ("not a shirt", UNLABELLED),
        ("none", UNLABELLED),
        ("shirts", UNLABELLED),
        ("boot", UNLABELLED),
        ("", UNLABELLED),
    ],
)
def test_an_answer_names_one_class_or_none(answer: str, label: int) -> None:
    assert match_class(answer, CLASSES) == label


def test_classes_that_only_punctuation_tells_apart_are_not_named() -> None:
    assert match_class("rain coat", ["rain_coat", "rain-coat"]) == UNLABELLED


def test_the_label_that_training_sees_is_the_text(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(10)
    work = make_table(photos)
    vectors = np.eye(2, 8, dtype=np.float32)
    with (work / "embeddings/texts" / FILE_NAME).open("wb") as file:
        np.savez(file, names=np.array(["cat", "dog"]), vectors=vectors)
    inputs = load_inputs(tiny(photos, work=work, text_source="label", wrong_labels=0.3, keep_labels=6))
    texts = TextEmbeddings(inputs.table, inputs.index)
    labels = inputs.images.labels
    assert (labels == UNLABELLED).sum() == 8
    assert (labels[labels >= 0] != np.repeat([0, 1], 10)[labels >= 0]).sum() == 4
    assert (texts.has_text() == (labels >= 0)).all()
    gathered = texts.gather(np.arange(20))
    assert (gathered[labels >= 0] == vectors[labels[labels >= 0]]).all()
    assert texts.dimension == 8


def test_class_names_must_be_embedded(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(4)
    with pytest.raises(DescriptionError, match=r"no embeddings of the class names.*--class-names cat dog"):
        load_inputs(tiny(photos, work=make_table(photos), text_source="label"))


def write_answers(photos: Path, work: Path, answer: Callable[[int, str], str]) -> None:
    images = open_images(str(photos))
    digests = scan_images(images).digests
    with DescriptionStore.open(work, create=True) as store:
        names = [images.class_name(i) for i in range(len(images))]
        store.write_images(map(DescribedImage, digests, images.keys, names))
        store.write(
            Description(digest, "pick_class@1", "judge", text=answer(i, name))
            for i, (digest, name) in enumerate(zip(digests, names, strict=True))
        )


def test_answers_complete_and_correct_labels_by_what_they_are_worth(
    make_photos: Make, tiny: Tiny, tmp_path: Path
) -> None:
    """Two dogs in five are called cats, so "cat" is worth less than "bird" and "dog"; 30 % of the labels are wrong."""
    photos = make_photos(60, classes=("bird", "cat", "dog"))

    def answer(image: int, name: str) -> str:
        if image % 10 == 3:
            return "I see an animal"
        return "cat" if name == "dog" and image % 5 < 2 else name

    write_answers(photos, tmp_path / "work", answer)
    changes = {"text_source": "answers", "objective": "none", "reader": True}
    settings = tiny(photos, work=tmp_path / "work", keep_labels=40, wrong_labels=0.3, **changes)
    inputs = load_inputs(settings)
    classes, facts = compute_class_targets(settings, inputs)
    truth, given = np.repeat([0, 1, 2], 60), inputs.images.labels
    unanswered = np.arange(180) % 10 == 3
    assert inputs.num_described == 162
    assert (classes[unanswered].sum(1) == (given[unanswered] >= 0)).all()
    named = [answer(image, ("bird", "cat", "dog")[image // 60]) for image in range(180)]
    answers = np.array([{"bird": 0, "cat": 1, "dog": 2}.get(name, -1) for name in named])
    confidence = [classes[(answers == label) & (given < 0), label].mean() for label in range(3)]
    assert confidence[1] < 0.9 < min(confidence[0], confidence[2])
    labelled = ~unanswered & (given >= 0)
    assert (classes[labelled].argmax(1) == truth[labelled]).mean() > (given == truth)[labelled].mean() + 0.1
    assert facts["noise"] == pytest.approx(0.3, abs=0.15)


def test_answers_alone_are_labels(make_photos: Make, tiny: Tiny, tmp_path: Path) -> None:
    photos = make_photos(6)
    write_answers(photos, tmp_path / "work", lambda image, name: f"a {name}")
    settings = tiny(photos, work=tmp_path / "work", text_source="answers", reader=True, keep_labels=0)
    classes, facts = compute_class_targets(settings, load_inputs(settings))
    assert (classes.argmax(1) == np.repeat([0, 1], 6)).all()
    assert classes.max(1).min() > 0.95
    assert facts == {"zero_shot": True}


def test_answers_that_name_no_class_are_one_clear_error(make_photos: Make, tiny: Tiny, tmp_path: Path) -> None:
    photos = make_photos(4)
    write_answers(photos, tmp_path / "work", lambda image, name: "an animal")
    with pytest.raises(DescriptionError, match=r"none of the 8 answers .* names one class .*--prompt pick_class"):
        load_inputs(tiny(photos, work=tmp_path / "work", text_source="answers", reader=True))

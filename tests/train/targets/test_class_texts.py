"""Texts that are no more than the class name of the given label."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpt4image.embed.class_names import FILE_NAME
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import DescriptionError
from gpt4image.images import UNLABELLED
from gpt4image.label import LabelSettings, label
from gpt4image.train import TrainSettings
from gpt4image.train.data.inputs import load_inputs

Tiny = Callable[..., TrainSettings]
Make = Callable[..., Path]


def weigh(photos: Path, work: Path, **situation: Any) -> None:
    label(LabelSettings(str(photos), work, prompts=("none",), features="none", **situation))


def test_the_label_that_training_sees_is_the_text(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(10)
    work = make_table(photos)
    vectors = np.eye(2, 8, dtype=np.float32)
    with (work / "embeddings/texts" / FILE_NAME).open("wb") as file:
        np.savez(file, names=np.array(["cat", "dog"]), vectors=vectors)
    weigh(photos, work, keep_labels=6, wrong_labels=0.3)
    inputs = load_inputs(tiny(photos, work=work, text_source="label", labels="default", targets="given"))
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

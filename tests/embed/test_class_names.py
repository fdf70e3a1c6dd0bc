"""Class names beside a table, with explanations of the user's own; picks that are no descriptions."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpt4image.embed import EmbeddingTable, EmbedSettings, embed
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.errors import DescriptionError, SettingsError

Write = Callable[..., Path]


def test_a_class_is_the_mean_of_its_name_and_explanation_in_three_texts(
    write_texts: Write, tiny_encoder: str, tmp_path: Path
) -> None:
    work = write_texts({"a": "word1"})
    (tmp_path / "names.json").write_text(json.dumps({"x": {"name": "word2", "explanation": "word3"}, "y": "word4"}))
    settings = EmbedSettings(work, tiny_encoder, name="t", class_names=(str(tmp_path / "names.json"),))
    table = EmbeddingTable.open(embed(settings).folder)
    encoder = load_encoder(tiny_encoder, "cpu")
    for name, words in {"x": "word2: word3", "y": "word4"}.items():
        mean = encoder.encode([words, f"a photo of a {words}", f"an image showing a {words}"]).mean(0)
        found = table.class_vectors([name])
        assert found is not None
        np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_names_given_plainly_keep_explanations_and_a_new_file_changes_them(
    write_texts: Write, tiny_encoder: str, tmp_path: Path
) -> None:
    work, file = write_texts({"a": "word1"}), tmp_path / "names.csv"

    def vectors(*class_names: str) -> np.ndarray:
        settings = EmbedSettings(work, tiny_encoder, name="t", class_names=class_names)
        found = EmbeddingTable.open(embed(settings).folder).class_vectors(["x", "y"])
        assert found is not None
        return found

    plain = vectors("x", "y")
    file.write_text("class,name,explanation\nx,x,word3\ny,y,\n")
    explained = vectors(str(file))
    np.testing.assert_allclose(explained[1], plain[1], atol=1e-6)
    assert np.abs(explained[0] - plain[0]).max() > 0.01
    assert (vectors("x", "y") == explained).all()
    write_texts({"b": "word7"})
    np.testing.assert_allclose(vectors("x", "y"), explained, atol=1e-6, err_msg="a new text writes the table anew")
    file.write_text("class,name,explanation\nx,x,\ny,y,\n")
    np.testing.assert_allclose(vectors(str(file)), plain, atol=1e-6)
    with pytest.raises(SettingsError, match=r"--class-names .*none.json cannot be used"):
        vectors("none.json")


def test_picks_are_no_descriptions(write_texts: Write, tiny_encoder: str) -> None:
    for prompt in ("pick_class@1", "describe_and_pick.class@1", "describe_and_pick.confidence@1", "shortlist-ab12@1"):
        work = write_texts({"a": "word1"}, prompt=prompt)
    settings = EmbedSettings(work, tiny_encoder, name="t", class_names=("x",))
    with pytest.raises(DescriptionError, match=r"holds no descriptions, only picks of classes \(describe_and_pick.cl"):
        embed(settings)
    with_pick = EmbedSettings(work, tiny_encoder, name="t", prompt=("pick_class",), class_names=("x",))
    assert embed(with_pick).num_rows == 1
    write_texts({"a": "word1"}, prompt="describe_and_pick@1")
    table = EmbeddingTable.open(embed(settings).folder)
    assert table.manifest["prompts"] == ["describe_and_pick@1"]
    assert table.class_vectors(["x"]) is not None, "the table was written anew though no text was"

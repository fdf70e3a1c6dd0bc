"""Whitened embeddings, and words as targets."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gpt4image.embed.join import join_digests
from gpt4image.embed.table import EmbeddingTable, save_table
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import DescriptionError
from gpt4image.train.targets.tokens import TokenTargets


@pytest.fixture
def embeddings(tmp_path: Path):
    """Strongly correlated texts far away from zero."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) + 5
    digests = [str(row) for row in range(400)]
    save_table(tmp_path / "t", vectors, pa.table({"digest": digests}), {})
    return EmbeddingTable.open(tmp_path / "t"), join_digests(pa.array(digests), digests)


def test_centred_texts_have_mean_zero(embeddings) -> None:
    texts = TextEmbeddings(*embeddings, "mean").gather(np.arange(400))
    assert texts.mean(0) == pytest.approx(np.zeros(6), abs=1e-3)
    plain = TextEmbeddings(*embeddings).gather(np.arange(400))
    assert plain - texts == pytest.approx(np.broadcast_to(plain.mean(0), (400, 6)), abs=1e-3)


def test_whitened_texts_have_unit_covariance(embeddings) -> None:
    texts = TextEmbeddings(*embeddings, "whiten").gather(np.arange(400))
    assert texts.mean(0) == pytest.approx(np.zeros(6), abs=1e-3)
    covariance = np.array([[np.mean(texts[:, i] * texts[:, j]) for j in range(6)] for i in range(6)])
    plain = TextEmbeddings(*embeddings).gather(np.arange(400))
    variances = np.linalg.eigvalsh(np.cov(plain.T, bias=True))
    if variances.min() > 0.01 * variances.mean():
        assert covariance == pytest.approx(np.eye(6), abs=0.02)
    else:
        assert np.linalg.eigvalsh(covariance).max() == pytest.approx(1, abs=0.02)


DESCRIPTIONS = [
    ["A red boot."],
    ["a red shoe", "A shoe, red again"],
    [],
    ["the boot on a shelf"],
    ["a hat"],
]


def test_words_are_weighted_by_inverse_document_frequency() -> None:
    targets = TokenTargets(DESCRIPTIONS)
    # "a" is in 4 of 4 descriptions: ln(4 / 5) < 0, no weight. Words of one description are left out.
    assert targets.words == ["a", "boot", "red"]
    assert targets.has_text().tolist() == [True, True, False, True, False]
    boot = red = math.log(4 / 3)
    rows = targets.gather(np.array([3, 0, 2, 1]))
    assert rows[0].tolist() == [0, 1, 0]
    assert rows[1] == pytest.approx([0, boot / (boot + red), red / (boot + red)])
    assert rows[2].tolist() == [0, 0, 0]
    assert rows[3].tolist() == [0, 0, 1]


def test_rarer_words_weigh_more() -> None:
    texts = [["cat tabby"], ["cat tabby"], ["cat"], ["cat"], ["dog"], ["dog"], ["dog"], ["dog"], ["bird"]]
    targets = TokenTargets(texts)
    cat, tabby = (targets.gather(np.array([0]))[0][targets.words.index(word)] for word in ("cat", "tabby"))
    assert tabby / cat == pytest.approx(math.log(9 / 3) / math.log(9 / 5))
    assert cat + tabby == pytest.approx(1)


def test_descriptions_without_common_words_are_refused() -> None:
    with pytest.raises(DescriptionError, match="share no words"):
        TokenTargets([["one"], ["two"]])

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gpt4image.embed.join import join_digests
from gpt4image.embed.table import EmbeddingTable, finish_replacement, replace_table, save_table
from gpt4image.errors import DescriptionError


def make_table(folder: Path, digests: list[str], value: float = 0.0) -> EmbeddingTable:
    columns = {"digest": digests, "prompt": pa.array(["detailed"] * len(digests))}
    save_table(folder, np.full((len(digests), 4), value), pa.table(columns), {"prompts": ["detailed"]})
    return EmbeddingTable.open(folder)


def test_images_have_none_one_or_several_rows(tmp_path: Path) -> None:
    table = make_table(tmp_path / "t", ["x", "y", "x", "z", "x"])
    index = table.join(["z", "none", "x", "y", "x"])
    assert [index.of(image).tolist() for image in range(5)] == [[3], [], [0, 2, 4], [1], [0, 2, 4]]
    assert index.count.tolist() == [1, 0, 3, 1, 3]


def test_join_agrees_with_a_loop() -> None:
    rng = np.random.default_rng(0)
    rows, images = rng.integers(0, 30, 200).astype(str).tolist(), rng.integers(0, 40, 50).astype(str).tolist()
    usable = rng.random(200) < 0.7
    index = join_digests(pa.chunked_array([rows[:90], rows[90:]]), images, usable)
    for image, digest in enumerate(images):
        assert index.of(image).tolist() == [row for row in range(200) if rows[row] == digest and usable[row]]


def test_a_missing_or_damaged_table_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match="holds no text embeddings; run gpt4image embed"):
        EmbeddingTable.open(tmp_path / "none")
    make_table(tmp_path / "texts", ["x", "y"])
    np.save(tmp_path / "texts" / "vectors.npy", np.zeros((1, 4), np.float16))
    with pytest.raises(DescriptionError, match=r"is damaged \(1 vectors, 2 rows\); embed again"):
        EmbeddingTable.open(tmp_path / "texts")


def test_a_table_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    make_table(tmp_path / "t", ["x"], value=1)
    make_table(tmp_path / "t.new", ["x", "y"], value=2)
    replace_table(tmp_path / "t", tmp_path / "t.new")
    assert len(EmbeddingTable.open(tmp_path / "t").vectors) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    # Killed after the old one was put aside, before the new one was in its place.
    (tmp_path / "t").rename(tmp_path / "t.old")
    finish_replacement(tmp_path / "t")
    assert len(EmbeddingTable.open(tmp_path / "t").vectors) == 2

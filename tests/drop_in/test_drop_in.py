"""The pieces for somebody else's loop: lookup by key or digest, a loss checked by hand, the gradient under DDP."""

import hashlib
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn.functional import normalize

from gpt4image.drop_in import AlignmentLoss, DescriptionTable, Projector
from gpt4image.embed.table import EmbeddingTable, save_table
from gpt4image.errors import DescriptionError, SettingsError


def test_vectors_are_found_by_key_and_by_digest(photos: Path, work: Path) -> None:
    table = DescriptionTable(work)
    vectors = EmbeddingTable.open(work / "embeddings" / "texts").vectors
    digest = hashlib.sha256((photos / "dog/03.png").read_bytes()).hexdigest()
    text = table.gather(["dog/03.png", digest, "cat/01.png", "cat/00.png", "no/such.png"])
    assert text.shape == (5, table.dimension)
    assert text.dtype == torch.float32
    np.testing.assert_array_equal(text[0], vectors[23].astype(np.float32))
    assert torch.equal(text[0], text[1])
    two = vectors[:2].astype(np.float32)
    length = np.linalg.norm(two, axis=1).mean()
    np.testing.assert_allclose(text[2], length * normalize(torch.from_numpy(two.mean(0)), dim=0), rtol=1e-5)
    assert not text[3:].any()
    assert torch.equal(table["dog/03.png"], text[0])
    assert "dog/03.png" in table
    assert "cat/00.png" not in table


def test_only_texts_of_a_prompt(work: Path) -> None:
    table = DescriptionTable(work, prompts=["tags"])
    assert "cat/01.png" in table
    assert "cat/02.png" not in table
    assert not table["cat/02.png"].any()
    assert len(table.gather([])) == 0


def test_centring_is_over_the_table(photos: Path, work: Path) -> None:
    names = [file.relative_to(photos).as_posix() for file in sorted(photos.glob("*/*.png"))]
    plain, centred = DescriptionTable(work).gather(names[1:]), DescriptionTable(work, centring="mean").gather(names[1:])
    vectors = EmbeddingTable.open(work / "embeddings" / "texts").vectors.astype(np.float32)
    np.testing.assert_allclose(centred, plain.numpy() - vectors.mean(0), atol=1e-6)


def test_a_loader_process_gets_no_copy_of_the_vectors(work: Path) -> None:
    table = DescriptionTable(work, prompts=["tags"], centring="mean")
    pickled = pickle.dumps(table)
    assert len(pickled) < 1000
    names = ["cat/01.png", "cat/02.png"]
    assert torch.equal(pickle.loads(pickled).gather(names), table.gather(names))


def test_a_replaced_file_must_be_named_by_its_digest(tmp_path: Path) -> None:
    digests = ["0" * 64, "1" * 64]
    rows = pa.table({"digest": digests, "key": ["a.jpg", "a.jpg"]})
    save_table(tmp_path / "embeddings" / "texts", np.eye(2), rows, {})
    table = DescriptionTable(tmp_path)
    assert table[digests[1]].tolist() == [0, 1]
    with pytest.raises(DescriptionError, match=r"two different images were described under the key 'a.jpg'"):
        table["a.jpg"]


def test_no_table_or_two(tmp_path: Path, work: Path) -> None:
    with pytest.raises(DescriptionError, match="holds 0 tables of text embeddings; run gpt4image embed first"):
        DescriptionTable(tmp_path / "nothing")
    save_table(work / "embeddings" / "others", np.eye(2), pa.table({"digest": ["0" * 64] * 2}), {})
    with pytest.raises(DescriptionError, match="choose one with --embeddings: others, texts"):
        DescriptionTable(work)


def test_clip_by_hand() -> None:
    """Two orthogonal pairs at temperature 1: every row and column is -log(e / (e + 1))."""
    loss = AlignmentLoss("clip", weight=0.5, temperature=1.0)(torch.eye(2) * 3, torch.eye(2))
    assert loss.item() == pytest.approx(-0.5 * math.log(math.e / (math.e + 1)))


def test_images_without_text_take_no_part() -> None:
    generator = torch.Generator().manual_seed(0)
    projected = torch.randn(5, 4, generator=generator).requires_grad_()
    text = torch.randn(5, 4, generator=generator)
    text[[1, 3]] = 0
    loss = AlignmentLoss("byol", weight=1.0)(projected, text)
    rows = [0, 2, 4]
    expected = (normalize(projected[rows], dim=1) - normalize(text[rows], dim=1)).square().sum(1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert projected.grad is not None
    assert not projected.grad[[1, 3]].any()
    assert projected.grad[rows].any(1).all()


@pytest.mark.parametrize("num_described", [0, 1])
def test_too_few_texts_give_a_loss_of_zero_that_has_a_gradient(num_described: int) -> None:
    text = torch.zeros(4, 3)
    text[:num_described] = 1
    projected = torch.randn(4, 3).requires_grad_()
    loss = AlignmentLoss()(projected, text)
    loss.backward()
    assert loss.item() == 0
    assert projected.grad is not None
    assert not projected.grad.any()


def test_copies_are_no_negatives() -> None:
    """Three copies of one image, each nearest to their common text: nothing is left to learn."""
    projected, text = torch.eye(2)[[0, 0, 1]], torch.eye(2)[[0, 0, 1]]
    align = AlignmentLoss("ctr", weight=1.0, temperature=0.01)
    assert float(align(projected, text)) == pytest.approx(2 / 3 * math.log(2), rel=1e-4)
    assert float(align(projected, text, images=torch.tensor([7, 7, 8]))) == pytest.approx(0, abs=1e-4)


def test_mixtures_of_the_same_images_are_no_negatives() -> None:
    """Rows 0 and 1 are half each of the other: their texts are the same, and so is what they show."""
    projected, text = torch.eye(3), torch.eye(3)
    weights = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    align = AlignmentLoss("ctr", weight=1.0, temperature=0.01)
    assert float(align(weights @ projected, weights @ text)) == pytest.approx(2 / 3 * math.log(2), rel=1e-4)
    assert float(align(weights @ projected, text, weights=weights)) == pytest.approx(0, abs=1e-4)


def test_images_of_one_class_need_not_be_negatives() -> None:
    projected = text = torch.eye(2)[[0, 0, 1]]
    align = AlignmentLoss("ctr", weight=1.0, temperature=0.01, related="excluded", num_classes=2)
    assert float(align(projected, text, labels=torch.tensor([0, 0, 1]))) == pytest.approx(0, abs=1e-4)
    unknown = align(projected, text, labels=torch.tensor([-1, -1, 1]))
    assert float(unknown) == pytest.approx(2 / 3 * math.log(2), rel=1e-4)
    with pytest.raises(SettingsError, match="no labels were given"):
        align(projected, text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"objective": "clap"}, "objective is 'clap'; choose from clip, ctr"),
        ({"related": "friends"}, "related is 'friends'; choose from negative"),
        ({"related": "positive"}, "tell num_classes"),
        ({"temperature": 0.0}, "temperature is 0.0"),
    ],
)
def test_values_that_are_not_allowed(arguments: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        AlignmentLoss(**arguments)


def test_projector_has_the_keys_of_the_train_stage() -> None:
    assert list(Projector(5, 3).state_dict()) == ["0.weight", "0.bias"]
    assert Projector(5, 3, "mlp")(torch.randn(4, 5)).shape == (4, 3)
    with pytest.raises(SettingsError, match="choose mlp or linear"):
        Projector(5, 3, "deep")


class OnGpu(torch.Tensor):
    """Says that it lies on a GPU."""

    device = property(lambda self: torch.device("cuda"))  # type: ignore[assignment]


def test_a_batch_goes_to_a_gpu_from_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only from there the copy does not wait."""
    pinned: list[torch.Tensor] = []
    moved: list[tuple[bool, bool]] = []
    convert = torch.Tensor.to

    def move(tensor: torch.Tensor, to: Any, non_blocking: bool = False) -> torch.Tensor:
        if to != torch.device("cuda"):
            return convert(tensor, to)
        moved.append((any(tensor is one for one in pinned), non_blocking))
        return tensor.as_subclass(OnGpu)

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.clone()) or pinned[-1])
    monkeypatch.setattr(torch.Tensor, "to", move)
    align = AlignmentLoss("byol", weight=1.0, related="excluded", num_classes=2)
    batch = {"labels": torch.tensor([0, 1, -1]), "images": torch.arange(3), "weights": torch.eye(3)}
    assert align(torch.eye(3).as_subclass(OnGpu), torch.eye(3), **batch).item() == pytest.approx(0)
    assert moved == [(True, True)] * 4


GRADIENT = """
import sys, torch
from gpt4image.drop_in import AlignmentLoss, Projector
rank, world_size, store, output = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
torch.manual_seed(0)
features, text, projector = torch.randn(6, 5), torch.randn(6, 3), Projector(5, 3)
text[1] = 0
module = projector
if world_size > 1:
    torch.distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=world_size)
    module = torch.nn.parallel.DistributedDataParallel(projector)
rows = slice(0, 6) if world_size == 1 else (slice(0, 4), slice(4, 6))[rank]
AlignmentLoss()(module(features[rows]), text[rows]).backward()
torch.save(projector[0].weight.grad, output)
if world_size > 1:
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()  # threads of gloo that still wait would abort a process that ends
"""


def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    """Also of a last batch, of which one has more rows than the other."""
    gradients = {}
    for world_size in (1, 2):
        outputs = [tmp_path / f"{world_size}-{rank}.pt" for rank in range(world_size)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", GRADIENT, str(rank), str(world_size), str(tmp_path / "store"), str(output)],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            for rank, output in enumerate(outputs)
        ]
        assert [process.wait(timeout=120) for process in processes] == [0] * world_size
        gradients[world_size] = torch.load(outputs[0])
    assert gradients[1].any()
    torch.testing.assert_close(gradients[2], gradients[1])

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gpt4image.embed.table import EmbeddingTable
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.images import open_images, scan_images
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.targets.classes import add_soft_predictions, add_sure_predictions
from gpt4image.train.targets.source import (
    LabelTargets,
    Targets,
    TargetSource,
    find_log_prior,
    find_taught,
    one_hot,
    to_device,
)

SEVERAL = {"cat/000.png": 3, "cat/001.png": 0, "dog/002.png": 2}


@pytest.fixture
def table_and_index(make_photos: Callable[..., Path], make_table: Callable[..., Path]):
    photos = make_photos(4)
    work = make_table(photos, lambda key: SEVERAL.get(key, 1))
    images = open_images(str(photos))
    table = EmbeddingTable.open(work / "embeddings" / "texts")
    return images, table, table.join(scan_images(images).digests)


def slow_texts(images, table, centre: bool) -> np.ndarray:
    """Mean of each image's vectors, as long as they are on average; found by key one row at a time."""
    keys = table.rows["key"].to_pylist()
    mean = table.vectors.astype(np.float64).mean(0) if centre else np.zeros(table.vectors.shape[1])
    result = np.zeros((len(images), table.vectors.shape[1]))
    for image, key in enumerate(images.keys):
        own = [table.vectors[row].astype(np.float64) for row, owner in enumerate(keys) if owner == key]
        if own:
            average = sum(own) / len(own)
            length = sum(np.sqrt(vector @ vector) for vector in own) / len(own)
            result[image] = average * length / np.sqrt(average @ average) - mean
    return result


@pytest.mark.parametrize("centre", [False, True])
def test_texts_are_gathered_by_image(table_and_index, centre: bool) -> None:
    images, table, index = table_and_index
    text = TextEmbeddings(table, index, "mean" if centre else "none")
    wanted = np.array([5, 0, 1, 6, 0])
    assert text.gather(wanted) == pytest.approx(slow_texts(images, table, centre)[wanted], abs=1e-6)
    assert text.has_text().tolist() == [SEVERAL.get(key, 1) > 0 for key in images.keys]


def test_targets_of_a_batch(table_and_index) -> None:
    _, table, index = table_and_index
    classes = one_hot(np.array([0, -1, 0, 0, 1, 1, 1, 1]), 2)
    source = TargetSource(classes, TextEmbeddings(table, index), torch.device("cpu"))
    targets = source.gather(torch.tensor([1, 6, 1, 0]))
    assert targets.classes.tolist() == [[0, 0], [0, 1], [0, 0], [1, 0]]
    assert targets.has_text.tolist() == [False, True, False, True]
    assert targets.shown.images.tolist() == [[1], [6], [1], [0]]
    assert targets.shown.labels.tolist() == [[-1], [1], [-1], [0]]


def test_one_hot_leaves_unlabelled_rows_empty() -> None:
    assert one_hot(np.array([1, -1]), 3).tolist() == [[0, 1, 0], [0, 0, 0]]


def test_targets_are_mixed_as_pixels_are(table_and_index) -> None:
    images, table, index = table_and_index
    batch = torch.tensor([0, 2, 4, 6])
    targets = TargetSource(one_hot(images.labels, 2), TextEmbeddings(table, index), torch.device("cpu")).gather(batch)
    share = 0.7
    weights = share * torch.eye(4) + (1 - share) * torch.eye(4).flip(0)
    mixed = targets.mix(weights)
    for row in range(4):
        for name in ("classes", "text"):
            own, partner = getattr(targets, name)[row], getattr(targets, name)[3 - row]
            assert getattr(mixed, name)[row] == pytest.approx(share * own + (1 - share) * partner)


def test_mixing_with_an_undescribed_image_keeps_the_text_of_the_larger_part_only() -> None:
    text = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    targets = Targets(torch.eye(2), text, torch.tensor([True, False]), Shown.whole(torch.arange(2), torch.eye(2)))
    weights = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    mixed = targets.mix(weights)
    assert mixed.has_text.tolist() == [True, False]
    assert mixed.text[0].tolist() == [1.0, 0.0]


def test_labels_are_as_good_as_an_array_of_probabilities() -> None:
    labels = np.array([2, -1, 0, 1, 2])
    wanted = one_hot(labels, 3)
    assert (LabelTargets(labels, 3)[np.array([4, 1, 0])] == wanted[[4, 1, 0]]).all()
    smoothed = LabelTargets(labels, 3, smoothing=0.3)[np.arange(5)]
    assert smoothed[0] == pytest.approx([0.1, 0.1, 0.8])
    assert not smoothed[1].any()
    assert (
        find_taught(LabelTargets(labels, 3)).tolist() == find_taught(wanted).tolist() == [True, False, True, True, True]
    )


def test_the_prior_is_the_share_of_images_that_teach_a_class() -> None:
    labels = np.array([0, 0, 0, 1, -1, -1])
    wanted = np.log([3 / 5, 1 / 5, 1 / 5])  # The class that nothing teaches counts as one image.
    assert find_log_prior(LabelTargets(labels, 3)) == pytest.approx(wanted)
    assert find_log_prior(one_hot(labels, 3)) == pytest.approx(wanted)


def test_what_a_teacher_is_sure_of_is_learnt_as_a_label() -> None:
    classes = one_hot(np.array([0, 0, 0, -1, -1]), 2)
    predicted = np.array([[0.97, 0.03], [0.03, 0.97], [0.1, 0.9], [0.04, 0.96], [0.1, 0.9]], dtype=np.float32)
    sure = [[1, 0], [0.5, 0.5], [1, 0], [0, 1], [0, 0]]
    assert add_sure_predictions(classes, predicted).tolist() == sure
    soft = [[0.985, 0.015], [0.515, 0.485], [0.55, 0.45], [0.04, 0.96], [0.1, 0.9]]
    assert add_soft_predictions(classes, predicted) == pytest.approx(np.array(soft), abs=1e-6)


def test_targets_go_to_a_gpu_from_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only from there the copy does not wait."""
    pinned: list[torch.Tensor] = []
    moved: list[tuple[bool, str, bool]] = []

    def move(tensor: torch.Tensor, device: torch.device, non_blocking: bool = False) -> torch.Tensor:
        moved.append((any(tensor is one for one in pinned), device.type, non_blocking))
        return tensor

    source = TargetSource(np.eye(3, dtype=np.float32), None, torch.device("cuda"))
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.clone()) or pinned[-1])
        patch.setattr(torch.Tensor, "to", move)
        source.gather(torch.arange(3))
    assert moved == [(True, "cuda", True)] * 4


def test_what_comes_from_a_device_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its values would be read before they have come; and memory of a device cannot be pinned."""
    told: list[dict[str, bool]] = []
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device, **how: told.append(how) or tensor)
    to_device(torch.ones(3, device="meta"), torch.device("cuda"))
    to_device(torch.ones(3, device="meta"), torch.device("cpu"))
    assert told == [{}, {}]

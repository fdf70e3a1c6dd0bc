"""What a model says about images: the same on any number of threads; pixels that several models share are made once."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpt4image.images.fashion_mnist import ArrayStore
from gpt4image.images.image_set import ImageSet
from gpt4image.models import image_features, pixels
from gpt4image.models.create import create_model
from gpt4image.models.frozen import FrozenBackbone
from gpt4image.models.machine import float32
from gpt4image.models.predict import count_at_once, predict

CONFIG = {"input_size": (3, 96, 96), "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.2,) * 3, "crop_pct": 0.9}


class CountingStore(ArrayStore):
    num_decoded = 0

    def read_bytes(self, position: int) -> bytes:
        self.num_decoded += 1
        return super().read_bytes(position)


def make_images(number: int) -> ImageSet:
    drawn = np.random.default_rng(0).integers(0, 255, (number, 28, 28), dtype=np.uint8)
    rows = np.arange(number)
    return ImageSet("drawn", list(map(str, rows)), rows % 2, ("cat", "dog"), CountingStore(drawn), rows)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_no_digit(set_threads: Callable[[int], None]) -> None:
    model, images = create_model("tf_efficientnet_lite0", 2, 96, pretrained=True), make_images(40)
    found = {}
    for threads in (1, 2, 3):
        set_threads(threads)
        found[threads] = predict(model, images, CONFIG, device="cpu")
        assert torch.get_num_threads() == threads
    for other in (2, 3):
        assert np.array_equal(found[other].logits, found[1].logits)
        assert np.array_equal(found[other].features, found[1].features)


@pytest.fixture
def kinds_with_tf32() -> Iterator[tuple[Any, ...]]:
    """As a training in the same process leaves them."""
    kinds = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [kind.allow_tf32 for kind in kinds]
    for kind in kinds:
        kind.allow_tf32 = True
    yield kinds
    for kind, allowed in zip(kinds, before, strict=True):
        kind.allow_tf32 = allowed


def test_float32_is_float32_on_a_card_too(kinds_with_tf32: tuple[Any, ...]) -> None:
    """What is kept for other runs must not depend on what was done before."""
    kinds = kinds_with_tf32
    for device, allowed in (("cuda", False), ("cpu", True)):
        with float32(torch.device(device)):
            assert [kind.allow_tf32 for kind in kinds] == [allowed] * 2
        assert all(kind.allow_tf32 for kind in kinds)


def test_float32_is_what_kept_features_are_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr("gpt4image.models.predict.float32", lambda device: asked.append(device) or nullcontext())
    model = create_model("resnet10t", 2, 96)
    predict(model, make_images(2), CONFIG, device="cpu", precision="fp32")
    predict(model, make_images(2), CONFIG, device="cpu")
    assert asked == [torch.device("cpu")]


def test_forward_passes_are_in_what_suits_the_card_unless_float32_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, set_threads: Callable[[int], None]
) -> None:
    set_threads(1)
    model, images = create_model("resnet10t", 2, 96), make_images(5)
    exact = predict(model, images, CONFIG, device="cpu")
    monkeypatch.setattr("gpt4image.models.predict.autocast", lambda device: torch.autocast("cpu", torch.bfloat16))
    lower = predict(model, images, CONFIG, device="cpu")
    assert lower.logits.dtype == lower.features.dtype == np.float32
    assert not np.array_equal(lower.features, exact.features)
    assert lower.features == pytest.approx(exact.features, abs=0.1)
    asked = predict(model, images, CONFIG, device="cpu", precision="fp32")
    assert np.array_equal(asked.features, exact.features)


def test_features_that_are_kept_are_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They outlive the card that they were computed on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("gpt4image.models.predict.autocast", lambda device: torch.autocast("cpu", torch.bfloat16))
    model, images = create_model("resnet10t", 2, 96), make_images(3)
    backbone = FrozenBackbone("tiny", "its hash", CONFIG, lambda: model)
    kept = image_features.load_image_features(images, [f"{number:064x}" for number in range(3)], backbone, "cpu")
    exact = predict(model, images, CONFIG, device="cpu", precision="fp32").features
    assert np.array_equal(kept.vectors[kept.rows], exact.astype(np.float16))


def test_no_batch_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """That would wait for it; all of them come in the end."""
    read: list[int] = []
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: read.append(len(tensor)) or tensor)
    outputs = predict(create_model("resnet10t", 2, 96), make_images(5), CONFIG, device="cpu", batch_size=2)
    assert (outputs.logits.shape, read) == ((5, 2), [])


def test_what_comes_from_the_device_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until all of it is there."""
    copy, told = torch.Tensor.copy_, []

    def look(tensor: torch.Tensor, *source: torch.Tensor, **how: bool) -> torch.Tensor:
        told.append(how)
        return copy(tensor, *source, **how)

    model = create_model("resnet10t", 2, 96)
    monkeypatch.setattr(torch.Tensor, "copy_", look)
    predict(model, make_images(5), CONFIG, device="cpu", batch_size=2)
    assert told == [{"non_blocking": True}] * 6


def test_mean_and_standard_deviation_are_brought_to_the_device_once() -> None:
    pixels_of = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    first = pixels.normalize(pixels_of, CONFIG)
    assert torch.equal(first, torch.full_like(first, -0.5 / 0.2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "tensor", None)
        assert torch.equal(pixels.normalize(pixels_of, CONFIG), first)


def test_a_model_looks_in_channels_last() -> None:
    model = create_model("resnet10t", 2, 96)
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    predict(model, make_images(3), CONFIG, device="cpu")
    weight = next(value for value in model.parameters() if value.ndim == 4 and value.shape[2] > 1)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_an_error_in_a_thread_is_raised_and_leaves_the_threads_as_they_were(set_threads: Callable[[int], None]) -> None:
    set_threads(2)
    with pytest.raises(RuntimeError):
        predict(create_model("resnet10t", 2, 96, kwargs={"in_chans": 1}), make_images(9), CONFIG, device="cpu")
    assert torch.get_num_threads() == 2


def test_pixels_of_one_set_are_kept_for_the_next_model(monkeypatch: pytest.MonkeyPatch) -> None:
    images = make_images(5)

    def look(seed: int, keep_as: str, size: int = 96, **how: object) -> tuple[np.ndarray, int]:
        torch.manual_seed(seed)
        before, config = images.store.num_decoded, {**CONFIG, "input_size": (3, size, size)}
        outputs = predict(create_model("resnet10t", 2, size), images, config, device="cpu", keep_as=keep_as, **how)
        return outputs.logits, images.store.num_decoded - before

    slow = look(1, "")[0]
    assert look(0, "")[1] == look(0, "a")[1] == 5
    again, num_decoded = look(1, "a")
    assert num_decoded == 0
    assert np.array_equal(again, slow)
    assert look(0, "a", size=64)[1] == 5, "made for another size"
    assert look(0, "a", batch_size=2)[1] == 5, "in other batches"
    assert look(0, "b")[1] == 5, "other images"
    assert look(0, "b", change=lambda picture: picture)[1] == 5, "changed ones"
    assert look(0, "b")[1] == 0
    pixels._kept.clear()
    monkeypatch.setattr(pixels, "KEPT_BYTES", 5 * 3 * 96 * 96 - 1)
    assert look(0, "c")[1] == look(0, "c")[1] == 5, "too many"


def test_a_processor_is_given_as_many_images_as_its_cache_holds() -> None:
    sizes = {size: count_at_once(torch.device("cpu"), {"input_size": (3, size, size)}) for size in (32, 96, 160, 2000)}
    assert sizes == {32: 128, 96: 44, 160: 16, 2000: 1}
    assert count_at_once(torch.device("cuda"), {"input_size": (3, 224, 224)}) == 128

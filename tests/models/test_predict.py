"""What a model says about images: the same on any number of threads; pixels that several models share are made once."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from gpt4image.images.fashion_mnist import ArrayStore
from gpt4image.images.image_set import ImageSet
from gpt4image.models import pixels
from gpt4image.models.create import create_model
from gpt4image.models.predict import predict

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

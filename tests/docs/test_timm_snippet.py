"""The lines that docs/own_loop.md adds to timm's training script, run with timm's own data set, loader and model."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import timm
import torch
from PIL import Image

from gpt4image.drop_in import AlignedNetwork, AlignmentLoss, DescriptionTable, Projector
from gpt4image.embed.table import save_table
from gpt4image.images import open_images, scan_images

PAGE = Path(__file__).parents[2] / "docs" / "own_loop.md"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six photos of two classes, and `work` in the current folder with a one-hot text embedding of each."""
    for number in range(6):
        file = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (40 * number, 0, 0)).save(file)
    images = open_images(str(tmp_path / "photos"))
    rows = pa.table({"digest": scan_images(images).digests, "key": list(images.keys)})
    save_table(tmp_path / "work" / "embeddings" / "texts", np.eye(6), rows, {})
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def test_snippet_teaches_each_image_its_own_text(photos: Path) -> None:
    (block,) = re.findall(r"^```python\n(# after dataset_train.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    on_data, on_model, on_step = re.split(r"\n\n", block)
    names = {
        "torch": torch,
        "dataset_train": timm.data.create_dataset("", root=str(photos)),
        "model": timm.create_model("resnet10t", num_classes=2),
        "loss_fn": torch.nn.CrossEntropyLoss(),
        **{piece.__name__: piece for piece in (AlignedNetwork, AlignmentLoss, DescriptionTable, Projector)},
    }
    exec(textwrap.dedent(on_data), names)
    exec(textwrap.dedent(on_model), names)
    loader = timm.data.create_loader(
        names["dataset_train"],
        input_size=(3, 32, 32),
        batch_size=6,
        is_training=True,
        use_prefetcher=False,
        num_workers=0,
        device=torch.device("cpu"),
        persistent_workers=False,
    )
    ((names["input"], names["target"]),) = list(loader)
    exec(textwrap.dedent(on_step), names)
    assert sorted(names["target"].tolist()) == list(range(6))
    assert torch.equal(names["text"], torch.eye(6)[names["target"]])
    assert names["labels_train"].tolist() == [0, 0, 0, 1, 1, 1]
    assert names["output"].shape == (6, 2)
    names["loss"].backward()
    assert names["model"].projector[0].weight.grad.any()

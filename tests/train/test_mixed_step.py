"""A step with mixup and CutMix: what is learnt of a row is what its pixels show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import create_setup
from gpt4image.train.step import train_step

LEVELS = 15 * np.arange(16)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Sixteen images, each of one shade of grey that no other has, in two classes."""
    for number, level in enumerate(LEVELS):
        path = tmp_path / "shades" / ("even", "odd")[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 24), (int(level),) * 3).save(path)
    return tmp_path / "shades"


@pytest.mark.parametrize("way", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "aug_repeats": 2}])
@pytest.mark.parametrize("compat", ["none", "gpt4image"])
def test_targets_are_mixed_as_pixels_are(
    way: dict[str, float], compat: str, photos: Path, make_table: Callable[..., Path], tiny: Callable[..., Any]
) -> None:
    settings = tiny(photos, work=make_table(photos), compat=compat, **way)
    inputs = load_inputs(settings)
    setup = create_setup(settings, inputs, create_accelerator(settings))
    setup.network.train()
    compute, seen = setup.objective, {}
    setup.network.register_forward_pre_hook(lambda module, arguments: seen.update(pixels=arguments[0].detach()))
    setup.objective = lambda *rest: seen.update(targets=rest[3]) or compute(*rest)  # type: ignore[assignment]
    levels = np.array([int(Path(key).stem) for key in inputs.images.keys]) * 15.0
    mean, std = (np.mean(setup.data_config[name]) for name in ("mean", "std"))
    mixed = 0
    for pixels, images in setup.loader:
        train_step(settings, setup, pixels, images)
        targets, whole = seen["targets"], setup.targets.gather(images)
        shown = 255 * (seen["pixels"].mean((1, 2, 3)).numpy() * std + mean)
        for row in range(len(images)):
            other = len(images) - 1 - row
            own, theirs = levels[images[row]], levels[images[other]]
            if own == theirs:
                continue
            share = float((shown[row] - theirs) / (own - theirs))
            mixed += 0.02 < share < 0.98
            wanted = share * whole.classes[row] + (1 - share) * whole.classes[other]
            assert targets.classes[row].numpy() == pytest.approx(wanted.numpy(), abs=0.02)
            text = share * whole.text[row] + (1 - share) * whole.text[other]
            text = text if compat == "none" else whole.text[row]
            assert targets.text[row].numpy() == pytest.approx(text.numpy(), abs=0.02)
            parts = dict(zip(targets.shown.images[row].tolist(), targets.shown.shares[row].tolist(), strict=True))
            assert parts[int(images[row])] == pytest.approx(share, abs=0.02)
    assert mixed

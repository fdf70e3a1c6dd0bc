"""One step: in which precision, and of how many operations (test_waits.py: what it waits for)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gpt4image.progress import Tracker
from gpt4image.train import train
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.loop import update_weights
from gpt4image.train.objectives.objective import Loss
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import create_setup
from gpt4image.train.step import train_step


@pytest.mark.parametrize("objective", ["clip", "ctr", "textteacher", "byol"])
def test_losses_are_computed_in_float32_whatever_the_network_computes_in(
    objective: str, make_photos: Callable[..., Path], make_table: Callable[..., Path], tiny: Callable[..., Any]
) -> None:
    """A loss in bf16 is off by a hundredth at this temperature."""
    photos = make_photos(8)
    how = {"objective": objective, "text_weight": 0.5, "temperature": 0.05, "projector_std": 1.0}
    settings = tiny(photos, work=make_table(photos), precision="bf16", **how)
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    setup.network.train()
    compute, seen = setup.objective, {}

    def keep(logits: torch.Tensor, features: torch.Tensor, projected: torch.Tensor, targets: Any) -> Loss:
        seen["lower"] = features.dtype
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            seen["wanted"] = compute.compute_text_loss(projected, targets)[0]
        return compute(logits, features, projected, targets)

    setup.objective = keep  # type: ignore[assignment]
    found = train_step(settings, setup, *next(iter(setup.loader)))["loss_text"]
    assert seen["lower"] == torch.bfloat16
    assert found.item() == pytest.approx(seen["wanted"].item(), rel=1e-6)


VIEWS = {"_unsafe_view", "alias", "as_strided", "detach", "expand", "permute", "select", "slice", "squeeze", "t"}
VIEWS |= {"transpose", "unsqueeze", "view"}


class CountOperations(TorchDispatchMode):
    """Counts what would be a kernel each on a GPU, or more."""

    number = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += function.overloadpacket.__name__ not in VIEWS
        return function(*args, **(kwargs or {}))


def test_learning_from_texts_is_a_hundred_operations_a_step(
    make_photos: Callable[..., Path], make_table: Callable[..., Path], tiny: Callable[..., Any]
) -> None:
    """Forward and backward pass of projector and loss, and the update: small ones, which a GPU is not busy with."""
    photos, found = make_photos(8), {}
    work = make_table(photos)
    for objective in ("none", "clip"):
        settings = tiny(photos, work=work, objective=objective)
        setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
        setup.network.train()
        for number, batch in enumerate(setup.loader):
            with CountOperations() as operations:
                train_step(settings, setup, *batch)
                update_weights(settings, setup, number + 1)
            found[objective] = operations.number
    assert 0 < found["clip"] - found["none"] <= 100


def test_a_step_is_in_channels_last_and_knows_that_all_processes_have_as_many_rows(
    make_photos: Callable[..., Path], tiny: Callable[..., Any]
) -> None:
    settings = tiny(make_photos(8), objective="none")
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    assert setup.objective.even, "or they ask each other, and wait for the answer, in every step"
    seen: list[torch.Tensor] = []
    setup.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    train_step(settings, setup, *next(iter(setup.loader)))
    weight = next(value for value in setup.network.parameters() if value.ndim == 4 and value.shape[2] > 1)
    for tensor in (seen[0], weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_the_loss_is_read_seldom(
    make_photos: Callable[..., Path], tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it waits for all that the device still has to do: once at the start of an epoch, then by the clock."""
    notes: list[str | None] = []
    monkeypatch.setattr(Tracker, "advance", lambda self, count=1, note=None: notes.append(note))
    monkeypatch.setattr("gpt4image.train.loop.NOTE_S", 1000.0)
    train(tiny(make_photos(20), objective="none", epochs=2, batch_size=2))
    # Twenty steps an epoch, and the scan of the images before.
    assert len(notes) >= 40
    assert len([note for note in notes if note and note.startswith("loss")]) == 2


def test_pixels_are_copied_beside_the_computation(
    make_photos: Callable[..., Path], tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny(make_photos(8), objective="none")
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    pixels, images = next(iter(setup.loader))
    move, waits = torch.Tensor.to, []

    def look(tensor: torch.Tensor, *where: Any, **how: Any) -> torch.Tensor:
        if tensor is pixels:
            waits.append(not how.get("non_blocking", False))
        return move(tensor, *where, **how)

    monkeypatch.setattr(torch.Tensor, "to", look)
    train_step(settings, setup, pixels, images)
    assert waits == [False]

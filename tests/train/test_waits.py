"""A training step reads nothing back from the device: every such read would wait for all that was queued before it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gpt4image.train import train
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.loop import update_weights
from gpt4image.train.processes import create_accelerator
from gpt4image.train.setup import create_setup
from gpt4image.train.step import train_step

READS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")
METHODS = ("cpu", "tolist")
"""Reads that are no operations where a tensor is on a processor already."""
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"objective": "none"},
    "clip": {"objective": "clip"},
    "ctr with copies": {"objective": "ctr", "aug_repeats": 2, "related": "excluded"},
    "byol": {"objective": "byol"},
    "mixed": {"mixup": 0.8, "cutmix": 1.0, "related": "positive"},
    "textteacher": {"objective": "textteacher", "text_weight": 0.5, "ema_decay": 0.9},
    "tokens": {"objective": "tokens"},
    "gce and prior": {"label_loss": "gce", "balance": "prior"},
    "official": {"compat": "gpt4image", "projector": "mlp"},
}


class CountReads(TorchDispatchMode):
    """Counts operations whose result, or its size, the processor has to know."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> "CountReads":
        for name in METHODS:
            self._patch.setattr(torch.Tensor, name, self._counted(name, getattr(torch.Tensor, name)))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._patch.undo()
        super().__exit__(*error)

    def _counted(self, name: str, method: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
        def call(tensor: torch.Tensor) -> Any:
            self.counts[name] += 1
            return method(tensor)

        return call

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        masks = (
            [index for index in args[1] if index is not None] if name in ("index", "index_put", "index_put_") else []
        )
        if name in READS or any(mask.dtype in (torch.bool, torch.uint8) for mask in masks):
            self.counts[name] += 1
        return function(*args, **(kwargs or {}))


def test_reads_are_counted() -> None:
    numbers = torch.arange(4.0)
    with CountReads() as reads:
        float(numbers.sum())
        numbers[numbers > 1]
        numbers[numbers > 1] = 0
        numbers.masked_select(numbers > 1)
        numbers.masked_fill(numbers > 1, 0)
        numbers.cpu().tolist()
    wanted = {"_local_scalar_dense": 1, "index": 1, "index_put_": 1, "masked_select": 1, "cpu": 1, "tolist": 1}
    assert reads.counts == wanted
    assert numbers.cpu().tolist()[0] == 0
    assert reads.counts == wanted


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_reads_nothing_back(
    variant: str,
    make_photos: Callable[..., Path],
    make_table: Callable[..., Path],
    write_descriptions: Callable[[Path], Path],
    tiny: Callable[..., Any],
) -> None:
    photos = make_photos(8)
    write_descriptions(photos)
    work = make_table(photos, lambda key: int(key != "cat/001.png"))
    settings = tiny(photos, **{"work": work, **VARIANTS[variant]})
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    setup.network.train()
    batches = list(setup.loader)
    train_step(settings, setup, *batches[0])
    update_weights(settings, setup, 1)
    with CountReads() as reads:
        train_step(settings, setup, *batches[1])
        update_weights(settings, setup, 2)
    assert not reads.counts


@pytest.mark.parametrize("how", [{"objective": "clip"}, {"objective": "none", "validation_share": 0.5}])
def test_an_epoch_reads_as_much_however_many_steps_it_has(
    how: dict[str, Any],
    make_photos: Callable[..., Path],
    make_table: Callable[..., Path],
    tiny: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Around the steps: means at the end of the epoch, the loss by the clock, the right ones after the last batch."""
    monkeypatch.setattr("gpt4image.train.loop.NOTE_S", 1000.0)
    photos, found = make_photos(16), []
    work = make_table(photos)
    for size in (8, 16):
        settings = tiny(photos, f"run{size}", work=work, epochs=1, batch_size=size, **how)
        with CountReads() as reads:
            train(settings)
        found.append(reads.counts)
    assert found[0] == found[1]

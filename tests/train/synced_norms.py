"""A step's gradient with norms over all processes; run by test_processes.py.

Arguments: a folder for the results, and numbers of processes. PyTorch's SyncBatchNorm has kernels for GPUs alone, so
its forward pass is written here by its definition: mean and variance of the rows of all processes, with their
gradients.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from gpt4image.models.create import create_model
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.objectives.projector import create_projector
from gpt4image.train.setup import synchronise_norms
from gpt4image.train.targets.source import Targets

NUM_ROWS, NUM_CLASSES, WIDTH = 8, 3, 6


def normalise(norm: nn.SyncBatchNorm, x: Tensor) -> Tensor:
    others = [0, *range(2, x.ndim)]
    shape = [1, -1] + [1] * (x.ndim - 2)
    sums = torch.cat([x.sum(others), x.square().sum(others), x.new_tensor([x.numel() / x.shape[1]])])
    sums = all_reduce(sums) if dist.is_initialized() else sums
    mean, squares = (part / sums[-1] for part in sums[:-1].chunk(2))
    scale = norm.weight * (squares - mean.square() + norm.eps).rsqrt()
    return (x - mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)


def main(rank: int, world_size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    if world_size > 1:
        dist.init_process_group("gloo", f"file://{folder}/{world_size}", rank=rank, world_size=world_size)
    nn.SyncBatchNorm.forward = normalise  # type: ignore[method-assign]
    torch.manual_seed(0)
    backbone = create_model("resnet10t", NUM_CLASSES, 16, kwargs={"channels": [4, 4, 8, 8], "stem_width": 4})
    plain = synchronise_norms(AlignedNetwork(backbone, create_projector("mlp", 8, WIDTH, std=0.3)))
    pixels, text = torch.randn(NUM_ROWS, 3, 16, 16), torch.randn(NUM_ROWS, WIDTH)
    classes = torch.eye(NUM_CLASSES)[torch.arange(NUM_ROWS) % NUM_CLASSES]
    own = slice(rank * NUM_ROWS // world_size, (rank + 1) * NUM_ROWS // world_size)
    shown = Shown.whole(torch.arange(NUM_ROWS)[own], classes[own])
    targets = Targets(classes[own], text[own], torch.ones(NUM_ROWS, dtype=torch.bool)[own], shown)
    logits, projected = plain(pixels[own])
    loss = Objective("clip", 0.3, even=True)(logits, plain.take_features(), projected, targets)
    loss.total.backward()
    if world_size > 1:
        # As DDP does, which refuses such norms on a processor.
        for value in plain.parameters():
            dist.all_reduce(value.grad)
            value.grad /= world_size
    torch.save({name: value.grad for name, value in plain.named_parameters()}, folder / f"{world_size}-{rank}.pt")
    if world_size > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    for number in map(int, sys.argv[2:]):
        # Forked: each that is started anew takes seconds to import PyTorch.
        torch.multiprocessing.start_processes(main, (number, Path(sys.argv[1])), number, start_method="fork")

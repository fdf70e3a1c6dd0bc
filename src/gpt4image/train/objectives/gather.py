"""The rows of all processes in one tensor, with the right gradient. Nothing else knows how a batch is spread."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor


def count_processes() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def count_rows(rows: Shaped[Tensor, "b ..."], even: bool = False) -> list[int]:
    """How many rows each process has.

    Args:
        rows: of this process.
        even: every process has as many. If not, each tells its number, for which all wait: ask once a step.
    """
    world_size = count_processes()
    if even or world_size == 1:
        return [len(rows)] * world_size
    own = torch.full((1,), len(rows), device=rows.device)
    sizes = [torch.empty_like(own) for _ in range(world_size)]
    dist.all_gather(sizes, own)
    return torch.cat(sizes).tolist()


def gather_rows(
    rows: Shaped[Tensor, "b ..."], sizes: Sequence[int], gradient_scale: float | None = None
) -> Shaped[Tensor, "B ..."]:
    """Rows of all processes, in the order of the processes.

    The loss computed from the result must be the same on every process. Then the gradient needs no communication:
    each process keeps that of its own rows, times the number of processes W, because DDP averages over them
    afterwards.

    Args:
        rows: of this process.
        sizes: of `count_rows`.
        gradient_scale: instead of W. The official code's gather amounts to 1, which makes the gradient of the text
            loss W times too small (issue of arXiv 2306.00693's code, described in docs/method.md).
    """
    if len(sizes) == 1:
        return rows
    scale = float(len(sizes)) if gradient_scale is None else gradient_scale
    return _GatherRows.apply(rows, sizes, scale)  # type: ignore[no-any-return]


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: Sequence[int], scale: float) -> Tensor:
        rank = dist.get_rank()
        ctx.first, ctx.last, ctx.scale = sum(sizes[:rank]), sum(sizes[: rank + 1]), scale
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        shards = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(shards, padded)
        return torch.cat([shard[:size] for shard, size in zip(shards, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.first : ctx.last] * ctx.scale, None, None


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a tensor without gradient over all processes."""
    if count_processes() == 1:
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total

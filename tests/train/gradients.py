"""Computes a step's gradient in each process' share of a batch; run by test_exactness.py.

Arguments: a folder for the results, and numbers of processes. With one process it is the reference.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn

from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.targets.source import Targets

NUM_ROWS, NUM_CLASSES, WIDTH = 12, 3, 6
OBJECTIVES = ("clip", "ctr", "byol", "textteacher", "tokens")
SHARES = {1: [12], 2: [6, 6], 4: [3, 3, 3, 3]}
UNEVEN = {1: [12], 2: [7, 5], 4: [5, 1, 4, 2]}


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head, self.projector = nn.Linear(10, 8), nn.Linear(8, NUM_CLASSES), nn.Linear(8, WIDTH)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.backbone(x).tanh()
        return self.head(features), features, self.projector(features)


def make_batch(missing: str, mixed: bool) -> tuple[Tensor, Targets]:
    """Inputs and targets; rows 0 and 5 show the same image.

    Without `missing` all is there; with `some`, texts and labels are missing here and there; with `shard`, the first
    half has no text at all. If `mixed`, each row is mixed with the one at the same place from the end, by a share of
    its own, so that several processes have parts of the same image.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NUM_ROWS, 10, generator=generator)
    classes = torch.eye(NUM_CLASSES)[torch.randint(0, NUM_CLASSES, (NUM_ROWS,), generator=generator)]
    text = torch.randn(NUM_ROWS, WIDTH, generator=generator).softmax(1)
    images = torch.arange(NUM_ROWS)
    images[5] = 0
    has_text = torch.ones(NUM_ROWS, dtype=torch.bool)
    if missing == "some":
        has_text[[1, 2, 9]] = False
        classes[[2, 3, 10]] = 0
    if missing == "shard":
        has_text[:6] = False
    text[~has_text] = 0
    targets = Targets(classes, text, has_text, Shown.whole(images, classes))
    if not mixed:
        return x, targets
    shares = torch.linspace(0.55, 0.95, NUM_ROWS)
    weights = shares.diag() + (1 - shares).diag().flip(1)
    return weights @ x, targets.mix(weights)


def rows_of(targets: Targets, rows: slice) -> Targets:
    shown = targets.shown.map(lambda part: part[rows])
    return Targets(targets.classes[rows], targets.text[rows], targets.has_text[rows], shown)


def compute_gradient(case: dict, rank: int, world_size: int) -> Tensor:
    """All parameters' gradient after DDP's averaging, as one vector."""
    torch.manual_seed(1)
    plain = Network()
    network = nn.parallel.DistributedDataParallel(plain) if world_size > 1 else plain
    x, targets = make_batch(case["missing"], case["mixed"])
    shares = (UNEVEN if case["uneven"] else SHARES)[world_size]
    rows = slice(sum(shares[:rank]), sum(shares[: rank + 1]))
    objective = Objective(
        case["objective"],
        0.3,
        related=case["related"],
        adaptive=case["objective"] == "textteacher" or case["adaptive"],
        official=case["official"],
    )
    logits, features, projected = network(x[rows])
    aligned = None if case["objective"] == "none" else projected
    loss = objective(logits, features, aligned, rows_of(targets, rows))
    (loss.total + 0 * projected.sum()).backward()
    return torch.cat([parameter.grad.flatten() for parameter in plain.parameters()])


def all_cases() -> list[dict]:
    usual = {"missing": "none", "related": "negative"}
    usual |= dict.fromkeys(("mixed", "uneven", "adaptive", "official"), False)
    variants = [
        {},
        {"missing": "some"},
        {"missing": "shard"},
        {"uneven": True},
        {"missing": "some", "uneven": True, "adaptive": True},
        {"related": "positive", "missing": "some"},
        {"mixed": True, "missing": "some"},
        {"mixed": True, "missing": "some", "uneven": True, "related": "excluded"},
    ]
    cases = [{**usual, **variant, "objective": name} for name in OBJECTIVES for variant in variants]
    return [*cases, {**usual, "objective": "clip", "official": True}, {**usual, "objective": "none"}]


def main(rank: int, world_size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    if world_size > 1:
        dist.init_process_group("gloo", f"file://{folder}/{world_size}", rank=rank, world_size=world_size)
    torch.save([compute_gradient(case, rank, world_size) for case in all_cases()], folder / f"{world_size}-{rank}.pt")
    if world_size > 1:
        dist.barrier()
        dist.destroy_process_group()  # threads of gloo that still wait would abort a process that ends


if __name__ == "__main__":
    for number in map(int, sys.argv[2:]):
        # Forked: each that is started anew takes seconds to import PyTorch.
        torch.multiprocessing.start_processes(main, (number, Path(sys.argv[1])), number, start_method="fork")

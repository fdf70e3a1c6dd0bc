"""Rows of all processes: who has to ask whom how many there are."""

import pytest
import torch

from gpt4image.train.objectives import gather, objective
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.targets.source import Targets


@pytest.mark.parametrize("even", [True, False])
def test_processes_with_as_many_rows_each_do_not_ask_each_other(even: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer would be waited for, in every step; two processes are played by one."""
    asked: list[int] = []
    monkeypatch.setattr(gather, "count_processes", lambda: 2)
    monkeypatch.setattr(objective, "count_processes", lambda: 2)
    monkeypatch.setattr(gather, "_exchange_sizes", lambda rows, number: asked.append(number) or [len(rows)] * number)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: value.mul_(2))
    monkeypatch.setattr(torch.distributed, "all_gather", lambda shards, rows: [one.copy_(rows) for one in shards])
    shown = Shown.whole(torch.arange(4), torch.eye(4))
    targets = Targets(torch.eye(4), torch.eye(4), torch.ones(4, dtype=torch.bool), shown)
    loss, _ = Objective("clip", 0.3, even=even).compute_text_loss(torch.eye(4), targets)
    assert loss.item() > 0
    assert bool(asked) is not even

"""Rows of all processes: who has to ask whom how many there are."""

import pytest
import torch
from torch import Tensor

from gpt4image.train.objectives import gather, objective
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.targets.source import Targets

ROWS, CLASSES, WIDTH = 4, 3, 5


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what two processes with the same rows, played by one, gather of each other."""
    shapes: list[tuple[int, ...]] = []

    def all_gather(shards: list[Tensor], rows: Tensor) -> None:
        shapes.append(tuple(rows.shape))
        for shard in shards:
            shard.copy_(rows)

    for module in (gather, objective):
        monkeypatch.setattr(module, "count_processes", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: value.mul_(2))
    monkeypatch.setattr(torch.distributed, "all_gather", all_gather)
    return shapes


@pytest.mark.parametrize(("even", "questions"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("name", ["clip", "ctr", "textteacher"])
def test_processes_ask_each_other_once_a_step_if_at_all(
    name: str, even: bool, questions: int, gathered: list[tuple[int, ...]]
) -> None:
    """Each answer is waited for."""
    classes = torch.eye(CLASSES)[[0, 1, 2, 0]]
    shown = Shown.whole(torch.arange(ROWS), classes)
    targets = Targets(classes, torch.eye(ROWS, WIDTH), torch.ones(ROWS, dtype=torch.bool), shown)
    loss, _ = Objective(name, 0.3, even=even).compute_text_loss(torch.eye(ROWS, WIDTH), targets)
    assert loss.item() > 0
    assert gathered.count((ROWS, WIDTH)) == 2
    assert (ROWS, CLASSES) not in gathered, "pairs need no class probabilities"
    assert gathered.count((1,)) == questions

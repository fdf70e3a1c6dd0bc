"""The gradient of one process with the whole batch is that of several processes that share it (real processes)."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("gradients.py")


def load_cases() -> list[dict]:
    spec = importlib.util.spec_from_file_location("gradients", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.all_cases()


CASES = load_cases()


def read_gradients(folder: Path, world_size: int) -> list[torch.Tensor]:
    shares = [torch.load(folder / f"{world_size}-{rank}.pt") for rank in range(world_size)]
    for gradients in zip(*shares, strict=True):
        assert all(torch.equal(gradients[0], other) for other in gradients[1:])
    return shares[0]


@pytest.fixture(scope="module")
def gradients(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[torch.Tensor]]:
    folder, sizes = tmp_path_factory.mktemp("gradients"), (1, 2, 4)
    command = [sys.executable, str(SCRIPT), str(folder), *map(str, sizes)]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=300)
    return {world_size: read_gradients(folder, world_size) for world_size in sizes}


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("number", [n for n, case in enumerate(CASES) if not case["official"]])
def test_the_gradient_does_not_depend_on_the_number_of_processes(
    gradients: dict[int, list[torch.Tensor]], number: int, world_size: int
) -> None:
    assert gradients[1][number].norm() > 1e-3, CASES[number]
    assert relative_error(gradients[world_size][number], gradients[1][number]) < 1e-5, CASES[number]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_the_official_gather_makes_the_text_gradient_as_many_times_smaller(
    gradients: dict[int, list[torch.Tensor]], world_size: int
) -> None:
    official = next(n for n, case in enumerate(CASES) if case["official"])
    label_only = next(n for n, case in enumerate(CASES) if case["objective"] == "none")
    text = gradients[1][official] - gradients[1][label_only]
    found = gradients[world_size][official] - gradients[world_size][label_only]
    assert relative_error(found, text / world_size) < 1e-5

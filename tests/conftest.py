"""For all tests: one thread a process, nothing written to the user's cache; a Ray cluster for those that want one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """What `--on ray` without an address finds: one cluster for all tests of a process."""
    from gpt4image.cluster import cluster

    # Ray's workers are nicer than all others; on a busy machine tests would wait for minutes.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    with cluster(None):
        yield

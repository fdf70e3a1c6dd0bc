"""A describing server and photos, from the tests of the describe stage; a Ray cluster of two CPUs on this machine."""

import os
from collections.abc import Iterator

import pytest
from tests.describe.conftest import chat_server, image_folder

__all__ = ["chat_server", "image_folder", "ray_here"]


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """What `--on ray` without an address finds: one cluster for all tests of a process."""
    from gpt4image.scale.cluster import cluster

    # Ray's workers are nicer than all others; on a busy machine tests would wait for minutes.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    with cluster(None):
        yield

"""A describing server and photos, from the tests of the describe stage; a Ray cluster of two CPUs on this machine."""

from collections.abc import Iterator

import pytest
from tests.describe.conftest import chat_server, image_folder

__all__ = ["chat_server", "image_folder", "ray_here"]


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """What `--on ray` without an address finds: one cluster for all tests of a process."""
    from gpt4image.scale.cluster import cluster

    with cluster(None):
        yield

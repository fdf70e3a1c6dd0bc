"""A Ray cluster: joined, or started on this machine; without telemetry, and never without authentication."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gpt4image.errors import SettingsError

LOCAL_OBJECT_STORE_BYTES = 150 << 20
"""Of a cluster started here. Texts and vectors pass through it, images usually do not."""
MOST_WORKERS = 16
"""Processes that are started unless told otherwise; each sends hundreds of requests at once."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


@contextmanager
def cluster(address: str | None, object_store_bytes: int | None = LOCAL_OBJECT_STORE_BYTES) -> Iterator[Any]:
    """Joins the cluster at `address`, or at RAY_ADDRESS as in a Ray job, or starts one here; yields the module `ray`.

    Args:
        address: of the cluster, None for the usual places.
        object_store_bytes: of a cluster started here; None for Ray's own choice.

    Raises:
        SettingsError: Ray is not installed, or there is no such cluster.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    os.environ.update(QUIET)
    if address is None:
        # Ray listens on all addresses of this machine: only who has the token may speak to it.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise SettingsError("--on ray needs Ray; pip install 'gpt4image[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    here = {"include_dashboard": False, "object_store_memory": object_store_bytes}
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **({"address": address} if address else here))
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SettingsError(
            f"--ray-address {address or '(this machine)'}: no cluster can be used there ({reason}); "
            "give what `ray start --head` printed, or nothing for this machine"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def count_workers(ray: Any, wanted: int | None, resource: str = "CPU") -> int:
    """How many worker processes to start, each with one CPU or GPU.

    Raises:
        SettingsError: the cluster has fewer than `wanted`, or none at all.
    """
    there = int(ray.cluster_resources().get(resource, 0))
    if there < (wanted or 1):
        raise SettingsError(
            f"--ray-workers {wanted or 1}: the cluster has {there} {resource}s, and each worker needs one"
        )
    return wanted or min(there, MOST_WORKERS)


@contextmanager
def ended(ray: Any, workers: list[Any]) -> Iterator[list[Any]]:
    """Ends the workers with the block: in a cluster that goes on, others want their CPUs."""
    try:
        yield workers
    finally:
        for worker in workers:
            ray.kill(worker)

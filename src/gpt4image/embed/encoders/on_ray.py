"""A text encoder that is many: one on each GPU or CPU of a cluster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np

from gpt4image.cluster import cluster, count_workers, ended
from gpt4image.embed.encoders.batches import batches_of
from gpt4image.embed.encoders.encoder import Access, Precision, TextEncoder, encode_all
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.embed.encoders.precision import lower_precision

TEXTS_IN_CALL = 1024
"""As many as an encoder in one process gets at once, so that the vectors are the same."""
CALLS_PER_WORKER = 2
"""While one is computed, the next is on its way."""
DEATHS = 5
"""After so many a call is given up; what is embedded stays."""


class EncoderWorker:
    """One encoder on the cluster."""

    def __init__(self, name: str, device: str, access: Access, precision: Precision, sample: Sequence[str]) -> None:
        self._encoder = load_encoder(name, device, access)
        if precision != "fp32":
            lower_precision(self._encoder, precision, sample)

    def facts(self) -> tuple[int, int]:
        """Width of the vectors, and how many tokens are read of a text."""
        return self._encoder.dimension, self._encoder.max_tokens

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return encode_all(self._encoder, texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.count_tokens(texts)


class ClusterEncoder:
    """Gives the texts to its workers, in order; Ray repeats the call of a worker that died."""

    def __init__(self, ray: Any, name: str, workers: list[Any]) -> None:
        from ray.util import ActorPool

        self.name, self._ray, self._pool = name, ray, ActorPool(workers)
        self.dimension, self.max_tokens = ray.get(workers[0].facts.remote())
        self.texts_at_once = TEXTS_IN_CALL * CALLS_PER_WORKER * len(workers)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        parts = list(batches_of(list(texts), TEXTS_IN_CALL))
        return np.concatenate(list(self._pool.map(lambda worker, part: worker.encode.remote(part), parts)))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        parts = list(batches_of(list(texts), TEXTS_IN_CALL))
        return list(chain(*self._pool.map(lambda worker, part: worker.count_tokens.remote(part), parts)))

    def lower_precision(self, precision: Precision) -> None:
        """Each worker has done that by itself, before it took the first text."""


@contextmanager
def cluster_encoder(
    name: str,
    device: str,
    access: Access,
    precision: Precision,
    sample: Sequence[str],
    address: str | None,
    workers: int | None,
) -> Iterator[TextEncoder]:
    """An encoder on every GPU of the cluster, or if it has none on every CPU.

    Args:
        name: as for `load_encoder`, like `device` and `access`.
        device: of each worker; with `auto` on a GPU, if the cluster has any; each sees only its own one.
        access: to endpoints.
        precision: of the computation; each worker checks it with the sample.
        sample: typical texts.
        address: of the cluster.
        workers: how many, None for as many as there is room for.

    Raises:
        SettingsError: Ray is not installed, or there is no such cluster, or it is too small.
        EncoderError: the encoder cannot be loaded, or not be computed so.
    """
    with cluster(address) as ray:
        on_gpus = (device == "auto" or device.startswith("cuda")) and ray.cluster_resources().get("GPU", 0) > 0
        resource = "GPU" if on_gpus else "CPU"
        kind = ray.remote(EncoderWorker).options(
            num_cpus=0 if on_gpus else 1, num_gpus=int(on_gpus), max_restarts=DEATHS, max_task_retries=DEATHS
        )
        number = count_workers(ray, workers, resource)
        # Whatever is wrong with the encoder is said once and here, in its own words.
        load_encoder(name, "cpu" if on_gpus else device, access)
        own = "cuda" if on_gpus and device != "auto" else device
        new = [kind.remote(name, own, access, precision, list(sample)) for _ in range(number)]
        with ended(ray, new) as encoders:
            yield ClusterEncoder(ray, name, encoders)

"""Embedding on a Ray cluster: the same table as from one process, also when a worker dies."""

import contextlib
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from gpt4image.embed import EmbeddingTable, EmbedResult, EmbedSettings, embed
from gpt4image.errors import EncoderError

TEXTS = {f"{number:04}": f"word{number % 60} word{number // 60} word{number % 7}" for number in range(3000)}


def contents(result: EmbedResult) -> tuple[dict, np.ndarray]:
    table = EmbeddingTable.open(result.folder)
    return table.rows.to_pydict(), np.asarray(table.vectors)


def kill_one_worker(parts: Path, killed: list[int]) -> None:
    """One of the workers, once the first part is written."""
    while not killed:
        time.sleep(0.002)
        for process in psutil.Process().children(recursive=True) if any(parts.glob("*.npz")) else ():
            with contextlib.suppress(psutil.Error):
                if not killed and process.cmdline()[0].startswith("ray::EncoderWorker"):
                    process.kill()
                    killed.append(process.pid)


def test_the_table_is_that_of_a_single_process_though_a_worker_dies(write_texts, tiny_encoder, ray_here) -> None:
    work: Path = write_texts(TEXTS | {"long": "word1 " * 30})
    killed: list[int] = []
    thread = threading.Thread(target=kill_one_worker, args=[work / "embeddings/there.parts", killed])
    thread.start()
    there = embed(EmbedSettings(work, tiny_encoder, name="there", on="ray", ray_workers=2, batch_size=100))
    was_killed = bool(killed)
    killed.append(0)
    thread.join()
    assert was_killed, "the run was over before a worker was killed"
    here = embed(EmbedSettings(work, tiny_encoder, name="here", batch_size=100))
    assert (there.num_new, there.num_truncated, there.dimension) == (here.num_new, 1, 16)
    assert contents(there)[0] == contents(here)[0]
    # The number of threads may differ; float16 keeps 11 bits.
    assert contents(there)[1] == pytest.approx(contents(here)[1], abs=1e-3)
    assert embed(EmbedSettings(work, tiny_encoder, name="there", on="ray")).num_new == 0


def test_a_mistake_is_said_in_the_encoders_own_words(write_texts, ray_here) -> None:
    with pytest.raises(EncoderError, match="there is no folder /no/such/model"):
        embed(EmbedSettings(write_texts({"a": "word1"}), "st:/no/such/model", on="ray"))

"""What does a large table of text embeddings cost? Memory of processes, time to the first batch, time of a batch.

    python benchmarks/table_memory.py [--images 1281167] [--dimension 1024] [--folder /tmp/table]

A table as large as ImageNet's (2.6 GB as float16; the official code loads it as float32, 5.25 GB in every process) is
written and opened as training does. Unique memory is what only that process holds: its anonymous pages (from
/proc/PID/smaps_rollup); pages of the table belong to the file and are shared by all.
"""

import argparse
import hashlib
import multiprocessing
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from gpt4image.embed.table import EmbeddingTable, save_table
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.files import read_json, write_json
from gpt4image.train.targets.source import TargetSource

BATCH_SIZE = 256


def make_table(folder: Path, count: int, dimension: int) -> list[str]:
    """Writes random vectors in random order of digests; returns the digests in the order of the images."""
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    if not (folder / "manifest.json").exists():
        rng = np.random.default_rng(0)
        block = rng.normal(size=(4096, dimension)).astype(np.float16)
        vectors = np.lib.format.open_memmap(
            folder.with_suffix(".npy"), mode="w+", dtype=np.float16, shape=(count, dimension)
        )
        for start in range(0, count, len(block)):
            vectors[start : start + len(block)] = np.roll(block, start % 997, axis=1)[: count - start]
        rows = pa.table({"digest": sorted(digests), "text_hash": [digest[:16] for digest in sorted(digests)]})
        save_table(folder, vectors[:1], rows, {"encoder": "random"})
        del vectors
        folder.with_suffix(".npy").replace(folder / "vectors.npy")
        manifest = read_json(folder / "manifest.json")
        write_json(folder / "manifest.json", {**manifest, "num_rows": count})
    return digests


def read_unique_bytes(pid: str = "self") -> int:
    """Anonymous memory of a process that it shares with no other."""
    fields = dict(
        line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    return int(fields["Private_Dirty"].split()[0]) * 1024


def gather_in_worker(source: TargetSource, num_images: int, results: Any) -> None:
    """What a loader process would do if it gathered texts itself."""
    before = read_unique_bytes()
    rng = np.random.default_rng()
    for _ in range(50):
        source.gather(torch.from_numpy(rng.integers(0, num_images, BATCH_SIZE)))
    results.put(read_unique_bytes() - before)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1_281_167)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/gpt4image-table"))
    parser.add_argument("--keep", action="store_true", help="leave the table there for the next time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    digests = make_table(arguments.folder, arguments.images, arguments.dimension)
    size_gb = (arguments.folder / "vectors.npy").stat().st_size / 1e9

    start_s = time.perf_counter()
    table = EmbeddingTable.open(arguments.folder)
    np.asarray(table.vectors[np.random.default_rng(2).integers(0, len(table.vectors), BATCH_SIZE)])
    first_s = time.perf_counter() - start_s
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    index = table.join(digests)
    join_s, join_cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    text = TextEmbeddings(table, index)
    classes = np.zeros((arguments.images, 2), dtype=np.float32)
    source = TargetSource(classes, text, torch.device("cpu"))
    print(f"table of {arguments.images:,} x {arguments.dimension}, {size_gb:.2f} GB")
    print(f"first random batch {first_s:.3f} s after opening")
    print(f"join with {arguments.images:,} images by digest: {join_s:.2f} s ({join_cpu_s:.2f} s of processor time)")

    rng = np.random.default_rng(1)
    hot = rng.integers(0, arguments.images, 20 * BATCH_SIZE)
    times_ms = []
    for number in range(60):
        rows = torch.from_numpy(hot[(number % 20) * BATCH_SIZE :][:BATCH_SIZE])
        start_s = time.perf_counter()
        source.gather(rows)
        times_ms.append(1000 * (time.perf_counter() - start_s))
    warm_ms = times_ms[20:]
    print(f"random batch of {BATCH_SIZE}: {statistics.median(warm_ms):.2f} ms (warm; worst {max(warm_ms):.2f})")

    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=gather_in_worker, args=(source, arguments.images, results))
        for _ in range(arguments.processes)
    ]
    for worker in workers:
        worker.start()
    added = [results.get() / 1e6 for _ in workers]
    for worker in workers:
        worker.join()
    print(f"unique memory added per process, {len(workers)} processes: {', '.join(f'{mb:.1f} MB' for mb in added)}")
    if not arguments.keep:
        shutil.rmtree(arguments.folder)


if __name__ == "__main__":
    main()

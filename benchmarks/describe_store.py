"""How long does a store of ImageNet's size take to open, plan and go on, and how much memory?

    python benchmarks/describe_store.py [--rows 1281167]

Writes a store with a description of every image but every thousandth, then, in a process of its own, does what
`gpt4image describe` does before its first request: opens the store, registers the images, counts what is kept,
redone and new, and takes the first asks. Files are not read: their digests count as known from an earlier scan.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from gpt4image.describe.asking.missing import Request, Wanted
from gpt4image.describe.asking.selection import select_images
from gpt4image.describe.prompts.parse import parse_prompts
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.store.registration import register_images, remember_prompts
from gpt4image.describe.store.rows import Description
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.images import ImageSet, Scan
from gpt4image.images.files.store import FileStore

NUM_CLASSES = 1000
TEXT = "A medium-sized animal with a thick coat lies on short grass, its head turned to the left. " * 3
BATCH_SIZE = 10_000


def make_images(number: int) -> tuple[ImageSet, Scan]:
    classes = tuple(f"n{name:08}" for name in range(NUM_CLASSES))
    labels = np.arange(number) * NUM_CLASSES // number
    keys = [f"{classes[label]}/{classes[label]}_{index}.JPEG" for index, label in enumerate(labels)]
    digests = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
    images = ImageSet("imagenet", keys, labels, classes, FileStore(Path("imagenet"), keys), np.arange(number))
    return images, Scan(digests, np.ones(number, dtype=bool), {})


def make_rows(digests: list[str]) -> Iterator[Description]:
    # In the order of digests the store grows much faster; the indices, which are what is read again, come out the same.
    for index, digest in sorted(enumerate(digests), key=lambda pair: pair[1]):
        if index % 1000:
            yield Description(digest, "detailed@1", "m", text=TEXT, tokens_in=600, tokens_out=60, seconds=2.0)


def fill(work: Path, number: int) -> None:
    images, scan = make_images(number)
    rows = make_rows(scan.digests)
    with DescriptionStore.open(work, create=True) as store:
        register_images(images, scan, store, ["detailed@1"], "m")
        while batch := list(islice(rows, BATCH_SIZE)):
            store.write(batch)


def peak_memory_mb() -> float:
    """Of this process alone; getrusage would count what its parent had when it was started."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def resume(work: Path, number: int) -> dict[str, float]:
    images, scan = make_images(number)
    before_mb = peak_memory_mb()
    start = time.monotonic()
    prompts = parse_prompts(["detailed"])
    wanted = Wanted(images, scan, select_images(images, scan), prompts, Places(images), 1, "m", Request(512, 768))
    with DescriptionStore.open(work) as store:
        remember_prompts(store, prompts)
        register_images(images, scan, store, ["detailed@1"], "m")
        counted = wanted.count(store)
        usage = store.usage("detailed@1", "m")
        first = list(islice(wanted.asks(store), 100))
        states = store.counts("detailed@1", "m")
    seconds = time.monotonic() - start
    assert counted["new"] == len(range(0, number, 1000)), counted
    assert usage.tokens_in == 600
    assert len(first) == min(100, counted["new"])
    peak_mb = peak_memory_mb()
    return {"seconds": seconds, "peak_mb": peak_mb, "of_that_images_mb": before_mb, "kept": states["ok"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_281_167)
    parser.add_argument("--resume", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.resume:
        print(json.dumps(resume(arguments.resume, arguments.rows)))
        return
    with tempfile.TemporaryDirectory() as name:
        start = time.monotonic()
        fill(Path(name), arguments.rows)
        size_mb = sum(file.stat().st_size for file in Path(name).iterdir()) / 1e6
        print(f"written: {arguments.rows:,} images in {time.monotonic() - start:.0f} s, {size_mb:,.0f} MB", flush=True)
        command = [sys.executable, __file__, "--resume", name, "--rows", str(arguments.rows)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(
            f"opened, planned and ready to go on: {found['seconds']:.1f} s, {found['peak_mb']:.0f} MB at the peak "
            f"({found['of_that_images_mb']:.0f} MB of that the image set itself)"
        )


if __name__ == "__main__":
    main()

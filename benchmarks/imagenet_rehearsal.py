"""What does a set of ImageNet's size cost in every stage, images and models aside? Seconds, peak memory and disk.

    python benchmarks/imagenet_rehearsal.py [--images 10000 100000 1281167] [--json]

Makes a world of as many JPEG files (32 px, each with bytes and a description of its own) in 1,000 class folders, and
runs, each as a process of its own: `describe --plan` the first time (every image is read) and again, `describe-import`
of the paper's .pth list, `lint`, `embed` with an encoder that takes no time (1,024 wide) and again with nothing to do,
the join, the start of training up to the first batch, one hundred steps, and a checkpoint. Training is the recipe
resnet50_imagenet on 32 px, 32 images a step. Seconds are those of the whole process, imports included; those in
brackets are processor time, which other work on the machine disturbs less. Memory is the largest sum over a step's
processes of what each holds alone plus its part of what they share (PSS), or the largest resident size of the first
one if that is more.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

IMAGENET = 1_281_167
NUM_CLASSES = 1000
DIMENSION = 1024
POLL_S = 0.5
ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "benchmarks" / "describe_server.py"


def make_words() -> list[str]:
    """3,000 words that mean nothing."""
    rng = np.random.default_rng(0)
    syllables = [first + vowel for first in "bdfgklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "ar", "en")]
    return sorted({"".join(rng.choice(syllables, 3)) for _ in range(3500)})[:3000]


def make_classes(words: Sequence[str]) -> list[str]:
    return sorted(f"{words[2 * number]}_{words[2 * number + 1]}" for number in range(NUM_CLASSES))


def make_texts(number: int, words: Sequence[str]) -> Iterator[str]:
    """Descriptions of 30 to 60 words; every class has its own favourite ones."""
    rng = np.random.default_rng(1)
    for count in np.bincount(labels_of(number), minlength=NUM_CLASSES):
        favourites = rng.integers(0, len(words), 40)
        for _ in range(count):
            length = int(rng.integers(12, 25))
            chosen = [*rng.choice(favourites, length), *rng.integers(0, len(words), length)]
            yield "A photo of " + " and the ".join(" ".join(words[i] for i in chosen[k::8]) for k in range(8)) + "."


def labels_of(number: int) -> np.ndarray:
    return np.arange(number) * NUM_CLASSES // number


def make_world(folder: Path, number: int) -> None:
    """Writes train/CLASS/NUMBER.jpg and texts.pth."""
    import torch
    from PIL import Image

    words, labels = make_words(), labels_of(number)
    classes, rng = make_classes(words), np.random.default_rng(2)
    for label, name in enumerate(classes):
        (folder / "train" / name).mkdir(parents=True)
        buffer = BytesIO()
        coarse = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        for index in np.flatnonzero(labels == label).tolist():
            # What follows the end of a JPEG is ignored, but makes its digest another one.
            (folder / "train" / name / f"{index:07}.jpg").write_bytes(buffer.getvalue() + index.to_bytes(4, "big"))
    torch.save(list(make_texts(number, words)), folder / "texts.pth")


class NoEncoder:
    """A text encoder that takes no time: it looks its vectors up."""

    name, dimension, max_tokens, texts_at_once = "none", DIMENSION, 77, 4096

    def __init__(self) -> None:
        block = np.random.default_rng(3).normal(size=(4096, DIMENSION)).astype(np.float32)
        self.block = block / np.linalg.norm(block, axis=1, keepdims=True)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self.block[[zlib.crc32(text.encode()) % len(self.block) for text in texts]]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


@contextmanager
def endpoint() -> Iterator[str]:
    command = [sys.executable, str(SERVER), "--latency-s", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield re.findall(r"http://\S+", process.stdout.readline())[0]
        process.terminate()


def plan(folder: Path) -> None:
    from gpt4image.describe import DescribeSettings, plan_descriptions

    with endpoint() as url:
        settings = DescribeSettings(str(folder / "train"), folder / "work", endpoint=(url,), model="m", plan=True)
        result = plan_descriptions(settings)
    assert result.prompts["detailed@1"].new + result.prompts["detailed@1"].kept == count(folder)


def import_list(folder: Path) -> None:
    from gpt4image.describe.exchange.import_stage import ImportSettings, import_descriptions

    settings = ImportSettings(folder / "work", folder / "texts.pth", images=str(folder / "train"), prompt="paper")
    assert import_descriptions(settings).written == count(folder)


def lint_texts(folder: Path) -> None:
    from gpt4image.describe.lint.stage import LintSettings, lint

    assert lint(LintSettings(folder / "work", prompt="paper", describer="import")).descriptions == min(
        count(folder), 100_000
    )


def embed_texts(folder: Path) -> None:
    import gpt4image.embed.encoders.load as encoders
    from gpt4image.embed import EmbedSettings, embed

    encoders.load_encoder = lambda *arguments, **more: NoEncoder()
    result = embed(EmbedSettings(folder / "work", "none", prompt=("paper",), name="texts"))
    assert result.num_rows == count(folder)


def join(folder: Path) -> None:
    from gpt4image.embed import EmbeddingTable
    from gpt4image.images import open_images, scan_images

    table = EmbeddingTable.open(folder / "work" / "embeddings" / "texts")
    index = table.join(scan_images(open_images(str(folder / "train"))).digests)
    assert (index.count == 1).all()


def weigh_all(folder: Path) -> None:
    """Labels of which a fifth is wrong, picks, texts (1,024 wide) and image features (384 wide), of 32 dimensions."""
    from gpt4image.label.weigh import Evidence, Picks, Vectors, weigh

    number, rng = count(folder), np.random.default_rng(4)
    labels, rows = labels_of(number), np.arange(number)
    wrong, missed = rng.random(number) < 0.2, rng.random(number) < 0.15
    given = np.where(wrong, rng.integers(0, NUM_CLASSES, number), labels)
    first = np.where(missed, rng.integers(0, NUM_CLASSES, number), labels)
    picks = Picks("pick", first, np.full(number, -1), rng.random(number, np.float32))
    blocks = {}
    (folder / "work").mkdir(exist_ok=True)
    for name, width, noise in (("text", DIMENSION, 0.8), ("image", 384, 1.0)):
        path = folder / "work" / f"{name}.f16"
        vectors = np.memmap(path, np.float16, "w+", shape=(number, width))
        means, mix = rng.standard_normal((NUM_CLASSES, 32)), rng.standard_normal((32, width)).astype(np.float32) / 6
        for part in np.array_split(rows, -(-number // 50_000)):
            latent = means[labels[part]] + noise * rng.standard_normal((len(part), 32))
            vectors[part] = latent.astype(np.float32) @ mix
        vectors.flush()
        vectors = np.memmap(path, np.float16, "r", shape=(number, width))
        names = (means.astype(np.float32) @ mix) if name == "text" else None
        blocks[name] = Vectors(name, name, vectors, rows, names)
    start_s = time.monotonic()
    weighed = weigh(Evidence(NUM_CLASSES, given, (picks,), (blocks["text"],), blocks["image"]))
    right = float((weighed.classes[:, 0] == labels).mean())
    print(f"weighed in {time.monotonic() - start_s:.0f} s, {100 * right:.1f} % right", file=sys.stderr)
    for name in blocks:
        (folder / "work" / f"{name}.f16").unlink()


def create(folder: Path) -> tuple[Any, Any]:
    """Settings and setup of training, as the train stage makes them."""
    from gpt4image.cli import parse_settings
    from gpt4image.train.data.inputs import load_inputs
    from gpt4image.train.processes import create_accelerator
    from gpt4image.train.run_folder import claim_run
    from gpt4image.train.settings import TrainSettings
    from gpt4image.train.setup import create_setup

    words = ["--input-size", "32", "--batch-size", "32", "--workers", "2", "--device", "cpu", "--epochs", "1"]
    recipe = ["--config", str(ROOT / "recipes" / "resnet50_imagenet.yaml"), "--work", str(folder / "work")]
    settings = parse_settings("train", TrainSettings, [str(folder / "train"), str(folder / "run"), *recipe, *words])
    inputs = load_inputs(settings)
    claim_run(settings, inputs.content())
    return settings, create_setup(settings, inputs, create_accelerator(settings))


def start(folder: Path) -> None:
    _, setup = create(folder)
    pixels, _ = next(iter(setup.loader))
    assert pixels.shape == (32, 3, 32, 32)


def train_steps(folder: Path) -> None:
    from gpt4image.train.loop import update_weights
    from gpt4image.train.step import train_step

    settings, setup = create(folder)
    for pixels, images in islice(setup.loader, 100):
        measures = train_step(settings, setup, pixels, images)
        assert float(measures["described_share"]) == 1
        update_weights(settings, setup)


def checkpoint(folder: Path) -> None:
    from gpt4image.runs import CHECKPOINT
    from gpt4image.train.checkpoint import load_checkpoint, save_checkpoint

    settings, setup = create(folder)
    parts = {"network": setup.plain_network, "optimizer": setup.optimizer}
    save_checkpoint(settings.run / CHECKPOINT, 1, parts)
    assert load_checkpoint(settings.run / CHECKPOINT, parts) == 1


STEPS: dict[str, Callable[[Path], None]] = {
    "describe --plan, first time": plan,
    "describe --plan, again": plan,
    "describe-import .pth": import_list,
    "lint": lint_texts,
    "embed": embed_texts,
    "embed, nothing new": embed_texts,
    "join": join,
    "weigh labels, picks, texts, features": weigh_all,
    "train: up to the first batch": start,
    "train: start and 100 steps": train_steps,
    "train: start and checkpoint": checkpoint,
}


def count(folder: Path) -> int:
    return int((folder / "number").read_text())


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Runs one step in a process of its own."""
    before = disk_bytes(folder)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--step", name, "--folder", str(folder)]
    start_s, start_cpu_s = time.monotonic(), children_cpu_s()
    with subprocess.Popen(command, env=environment) as process:
        peak = Peak(process.pid)
        status = process.wait()
    seconds, cpu_s = time.monotonic() - start_s, children_cpu_s() - start_cpu_s
    peak_bytes = peak.stop()
    if status:
        raise SystemExit(f"{name} failed with status {status}")
    added = disk_bytes(folder) - before
    return {"step": name, "seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_bytes / 1e6, "disk_mb": added / 1e6}


def children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


class Peak:
    """Watches the memory of a process and of those that it starts."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak_bytes, self._end = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        self._end.set()
        self._thread.join()
        return self.peak_bytes

    def _watch(self) -> None:
        import psutil

        while not self._end.wait(POLL_S):
            try:
                first = psutil.Process(self.pid)
                family = [first, *first.children(recursive=True)]
                share = sum(read_kib(f"/proc/{one.pid}/smaps_rollup", "Pss:") for one in family)
                resident = read_kib(f"/proc/{self.pid}/status", "VmHWM:")
                self.peak_bytes = max(self.peak_bytes, 1024 * max(share, resident))
            except (OSError, psutil.Error, IndexError):
                continue


def read_kib(path: str, field: str) -> int:
    return int(Path(path).read_text().partition(field)[2].split()[0])


def disk_bytes(folder: Path) -> int:
    """Of what the steps write; the images are left out."""
    names = [path for part in ("work", "cache", "run") for path in (folder / part).rglob("*")]
    return sum(path.stat().st_blocks * 512 for path in names if path.is_file())


def rehearse(folder: Path, number: int, names: Sequence[str]) -> list[dict[str, Any]]:
    if not (folder / "number").exists():
        make_world(folder, number)
        (folder / "number").write_text(str(number))
    rows = []
    for name in names:
        rows.append(measure(name, folder))
        print(
            "{step:<30} {seconds:7.1f} s ({cpu_s:.1f} s CPU) {peak_mb:7.0f} MB {disk_mb:7.0f} MB".format(**rows[-1]),
            file=sys.stderr,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, IMAGENET])
    parser.add_argument("--folder", type=Path, help="where the worlds are made; left there if given")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="only these, in this order")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        STEPS[arguments.step](arguments.folder)
        return
    folder = arguments.folder or Path(tempfile.mkdtemp())
    found = {number: rehearse(folder / str(number), number, arguments.steps) for number in arguments.images}
    if arguments.folder is None:
        shutil.rmtree(folder)
    if arguments.json:
        print(json.dumps(found))
        return
    print("| step |" + "".join(f" {number:,} |" for number in found))
    print("|---|" + "---|" * len(found))
    for step, *rows in zip(arguments.steps, *found.values(), strict=True):
        cells = (" {seconds:.1f} ({cpu_s:.1f}) s, {peak_mb:,.0f} MB, {disk_mb:,.0f} MB |".format(**row) for row in rows)
        print(f"| {step} |" + "".join(cells))


if __name__ == "__main__":
    main()

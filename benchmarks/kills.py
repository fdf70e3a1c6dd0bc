"""Are the results of commands that were killed the same, is nothing paid for twice, and is no process left?

    python benchmarks/kills.py --kills 100 --terms 20

Describe, embed, train, export, compare with two jobs and the gallery run once undisturbed. Then each is killed
(SIGKILL) or told to stop (SIGTERM) at a random moment, again and again, and at last run to its end. Described are small
made pictures, by `describe_server.py` on loopback, which counts what it was asked. Exits with 1 if anything differs.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

SERVER = Path(__file__).with_name("describe_server.py")
IN_FLIGHT = 4
LEFT_AFTER_S = 2.0
RECIPE = """title: t
images: photos
test_images: photos
work: work
seeds: 2
arms: [baseline]
train: {model: test_resnet, input_size: 32, epochs: 3, batch_size: 8}
"""


def make_photos(folder: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(40):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    (folder.parent / "recipe.yaml").write_text(RECIPE)


def commands(url: str) -> dict[str, list[str]]:
    tiny = ["--model", "test_resnet", "--input-size", "32", "--epochs", "3", "--batch-size", "8"]
    asked = ["--endpoint", url, "--model", "m", "--in-flight", str(IN_FLIGHT)]
    return {
        "describe": ["describe", "photos", "work", *asked],
        "embed": ["embed", "work", "--batch-size", "4", "--name", "texts"],
        "train": ["train", "photos", "run", "--work", "work", *tiny],
        "export": ["export", "run", "exported"],
        "compare": ["compare", "recipe.yaml", "--out", "comparison", "--jobs", "2"],
        "describe-export": ["describe-export", "work", "out.jsonl"],
        "gallery": ["gallery", "work", "--images", "photos"],
    }


def results(folder: Path) -> dict[str, str]:
    """What the commands have made, as hashes; times and paths left out."""
    found: dict[str, str] = {}
    with closing(sqlite3.connect(folder / "work/descriptions.sqlite")) as connection:
        rows = connection.execute("SELECT digest, prompt, sample, state, text FROM descriptions ORDER BY 1, 2, 3")
        found["store"] = hashlib.sha256(repr(rows.fetchall()).encode()).hexdigest()
    for pattern in ("work/embeddings/*/vectors.npy", "run/model.safetensors", "comparison/**/model.safetensors"):
        for path in sorted(folder.glob(pattern)):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    found["exported"] = str(sorted(path.name for path in (folder / "exported").iterdir()))
    found["out.jsonl"] = str(len((folder / "out.jsonl").read_text().splitlines()))
    found["left over"] = str(sorted(path.name for path in folder.rglob(".*.tmp")))
    return found


def family(process: int) -> list[int]:
    """A process and all that it has started."""
    found = [process]
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [one for child in path.read_text().split() for one in family(int(child))]
        except OSError:
            continue
    return found


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(folder: Path, words: list[str]) -> "subprocess.Popen[bytes]":
    quiet = {"stdout": subprocess.DEVNULL, "stderr": (folder / "errors.txt").open("ab")}
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "gpt4image.cli", *words], cwd=folder, env=environment, **quiet)


def disturb(folder: Path, words: list[str], number: int, after_s: float) -> list[str]:
    """Ends a command after a while; returns what is wrong then."""
    process = start(folder, words)
    try:
        process.wait(after_s)
        return []
    except subprocess.TimeoutExpired:
        members = family(process.pid)
        process.send_signal(number)
    status = process.wait(60)
    wrong = [] if number == signal.SIGKILL or status in (0, 4) else [f"exit status {status} after SIGTERM"]
    deadline = time.monotonic() + LEFT_AFTER_S
    while any(map(is_running, members)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return wrong + [f"process {one} is left" for one in members if is_running(one)]


def num_asked(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
        return json.load(answer)["asked_twice"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=14)
    parser.add_argument("--terms", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw, wrong = random.Random(arguments.seed), list[str]()
    server = subprocess.Popen([sys.executable, str(SERVER), "--latency-s", "0.2"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as killed:
        seconds, todo = {}, commands(url)
        for folder in (Path(whole), Path(killed)):
            make_photos(folder / "photos")
        for name, words in todo.items():
            begin = time.monotonic()
            if status := start(Path(whole), words).wait():
                wrong.append(
                    f"{name}: exit status {status} undisturbed: {(Path(whole) / 'errors.txt').read_text()[-500:]}"
                )
            seconds[name] = time.monotonic() - begin
        before = num_asked(url)
        signals = [signal.SIGKILL] * arguments.kills + [signal.SIGTERM] * arguments.terms
        planned = [(list(todo)[place % len(todo)], number) for place, number in enumerate(signals)]
        num_describe = sum(name == "describe" for name, _ in planned)
        for name, words in todo.items():
            for number in [number for other, number in planned if other == name]:
                after_s = draw.uniform(0.2, 1.0) * seconds[name]
                found = disturb(Path(killed), words, number, after_s)
                wrong += [f"{name}, {signal.Signals(number).name} after {after_s:.1f} s: {what}" for what in found]
            if status := start(Path(killed), words).wait():
                wrong.append(
                    f"{name}: exit status {status} at last: {(Path(killed) / 'errors.txt').read_text()[-500:]}"
                )
        # The server counts each picture of the second folder as asked twice, for the first was asked about the same.
        again = num_asked(url) - before - 40
        if again > IN_FLIGHT * num_describe:
            wrong.append(f"{again} answers were paid for again, more than {IN_FLIGHT} in flight each time")
        expected, found = results(Path(whole)), results(Path(killed))
        wrong += [f"{name} differs: {expected.get(name)}, {found.get(name)}" for name in expected | found
                  if expected.get(name) != found.get(name)]  # fmt: skip
    server.kill()
    print(f"{len(planned)} signals, {len(wrong)} findings", *wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

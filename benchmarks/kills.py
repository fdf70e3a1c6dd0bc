"""Are the results of commands that were killed the same, is nothing paid for twice, and is no process left?

    python benchmarks/kills.py --kills 100 --terms 20

Every command (describe, embed, label, train, export, compare with two jobs, demo, describe-export, gallery) runs once
undisturbed. Then each is killed (SIGKILL) or told to stop (SIGTERM) at a random moment, again and again, and at last
run to its end; a command that was done before its signal begins anew. A served gallery is killed between edits, and
every edit that it said was done must be there. Described are small made pictures, by `describe_server.py` on loopback,
which counts what it was asked; the demo is the shipped one with fewer and smaller images. Exits with 1 if anything
differs.
"""

import argparse
import hashlib
import http.client
import importlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from gpt4image.cli import main as run_command

SERVER = Path(__file__).with_name("describe_server.py")
IN_FLIGHT, NUM_PHOTOS = 4, 40
LEFT_AFTER_S = 2.0
RECIPE = """title: t
images: photos
test_images: photos
work: work
seeds: 1
arms: [baseline, aligned]
train: {model: test_resnet, input_size: 32, epochs: 3, batch_size: 8}
label: {features: none}
"""
TINY_DEMO = "tiny-demo"
OUTPUTS = {
    "describe": "work",
    "embed": "work/embeddings",
    "label": "work/labels",
    "train": "run",
    "export": "exported",
    "compare": "comparison",
    "demo": "demo",
    "describe-export": "out.jsonl",
    "gallery": "work/gallery",
}
RESULTS = (".safetensors", ".npy", ".npz", ".parquet", ".js", ".jpg")
OF_TIME = ("created", "seconds", "per_s", "wait")


def make_photos(folder: Path) -> None:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(NUM_PHOTOS):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        name = path.parent.name
        texts = {"description": f"A {name}, {number}.", "blind": f"An animal, a {name}, {number}.", "pick": name}
        rows.append({"path": f"photos/{name}/{path.name}", **texts})
    (folder.parent / "recipe.yaml").write_text(RECIPE)
    (folder.parent / "demo.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def commands(url: str) -> dict[str, list[str]]:
    tiny = ["--model", "test_resnet", "--input-size", "32", "--epochs", "3", "--batch-size", "8"]
    asked = ["--endpoint", url, "--model", "m", "--in-flight", str(IN_FLIGHT)]
    return {
        "describe": ["describe", "photos", "work", *asked],
        "embed": ["embed", "work", "--batch-size", "4", "--name", "texts"],
        "label": ["label", "photos", "work", "--input-size", "96"],
        "train": ["train", "photos", "run", "--work", "work", *tiny],
        "export": ["export", "run", "exported"],
        "compare": ["compare", "recipe.yaml", "--out", "comparison", "--jobs", "2"],
        "demo": [TINY_DEMO],
        "describe-export": ["describe-export", "work", "out.jsonl"],
        "gallery": ["gallery", "work", "--images", "photos"],
    }


def run_tiny_demo() -> int:
    """The command `demo`, its recipes with the made photos, less of everything and a small model."""
    from gpt4image.demo import DemoSettings, stage

    whole = stage._recipe

    def make_smaller(folder: Path, name: str, settings: DemoSettings) -> Any:
        recipe = whole(folder, name, settings)
        describe = {**recipe.describe, "file": "demo.jsonl"}
        train = {**recipe.train, "input_size": 32}
        if name == "frozen":
            situations, arms = recipe.situations[:3], ("aligned",)
        else:
            situations, arms = recipe.situations[1:2], recipe.arms
            train = {"model": "test_resnet", "input_size": 32, "epochs": 2, "batch_size": 8}
        smaller = {"situations": situations, "arms": arms, "describe": describe, "train": train}
        smaller["label"] = {"features": "none"}
        return replace(recipe, images="photos", test_images="photos", **smaller)

    stage._recipe = make_smaller
    return run_command(["demo", "--out", "demo", "--seeds", "1", "--jobs", "1"])


def results(folder: Path) -> dict[str, str]:
    """What the commands have made, as hashes; times left out."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("**/descriptions.sqlite")):
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT digest, prompt, sample, state, text FROM descriptions ORDER BY 1, 2, 3")
            found[str(path.relative_to(folder))] = hashlib.sha256(repr(rows.fetchall()).encode()).hexdigest()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "cache" not in path.parts):
        name = str(path.relative_to(folder))
        if path.suffix in RESULTS:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name in ("metrics.jsonl", "out.jsonl"):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = str([without_times(row) for row in rows])
        elif path.name in ("comparison.json", "evaluation.json"):
            found[name] = json.dumps(without_times(json.loads(path.read_text())), sort_keys=True)
    for output in OUTPUTS.values():
        files = (str(path.relative_to(folder)) for path in (folder / output).rglob("*") if ".locks" not in path.parts)
        found[f"names in {output}"] = str(sorted(files))
    found["left over"] = str(sorted(str(path.relative_to(folder)) for path in folder.rglob(".*.tmp")))
    return found


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_times(v) for name, v in value.items() if not any(word in name for word in OF_TIME)}
    return [without_times(entry) for entry in value] if isinstance(value, list) else value


def processes_in(folder: Path) -> list[int]:
    """The living processes that work in a folder: a command, and all that it has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            found += [int(path.name)] if (path / "cwd").readlink() == folder else []
        except OSError:
            continue
    return found


def load_libraries() -> None:
    """Once, for all commands: else most signals would meet nothing but loading."""
    for name in (
        "sentence_transformers",
        "sklearn.linear_model",
        "timm",
        "gpt4image.train.loop",
        "gpt4image.report.page",
    ):
        importlib.import_module(name)


class Command:
    """A command in a process of its own, a fork of this one, which works in a folder."""

    def __init__(self, folder: Path, words: list[str], out: int | None = None) -> None:
        self._process = os.fork()
        if self._process:
            return
        status = 70
        try:
            os.chdir(folder)
            os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
            os.dup2(os.open(os.devnull, os.O_WRONLY) if out is None else out, 1)
            os.dup2(os.open(folder.parent / "errors.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
            status = run_tiny_demo() if words == [TINY_DEMO] else run_command(words)
        except KeyboardInterrupt:
            status = 4  # As `program`: the signal came before the command heeded it, or after its end.
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def wait(self, seconds: float = 3600) -> int | None:
        """The exit status, or minus the signal; None if it has not ended yet."""
        deadline = time.monotonic() + seconds
        while True:
            ended, status = os.waitpid(self._process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)

    def send(self, number: int) -> None:
        os.kill(self._process, number)


def end(folder: Path, process: Command, number: int) -> list[str]:
    """Sends a signal; returns what is wrong then."""
    process.send(number)
    if (status := process.wait(120)) is None:
        process.send(signal.SIGKILL)
        return ["it does not end"]
    wrong = [] if number == signal.SIGKILL or status in (0, 4) else [f"exit status {status}"]
    deadline = time.monotonic() + LEFT_AFTER_S
    while (left := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return wrong + [f"process {one} is left" for one in left]


def disturb(folder: Path, words: list[str], number: int, draw: random.Random, seconds: float, output: Path) -> Any:
    """Ends a command after a while; returns what is wrong then, and how often it was done before that."""
    for num_done in range(20):
        process, after_s = Command(folder, words), draw.uniform(0.0, 1.0) * seconds
        if process.wait(after_s) is None:
            return [f"after {after_s:.1f} s: {what}" for what in end(folder, process, number)], num_done
        if output.is_dir():
            shutil.rmtree(output)
        output.unlink(missing_ok=True)
    return ["it is always done before its signal"], 20


class Page:
    """What a browser does at a served gallery."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host = address.netloc
        location = f"{address.path}?{address.query}"
        answer = self._ask("GET", location, {})
        self._headers = {
            "Cookie": str(answer.getheader("Set-Cookie")).partition(";")[0],
            "Origin": f"http://{self._host}",
            "Content-Type": "application/json",
        }

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._host, timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def edit(self, name: dict[str, Any], text: str) -> bool:
        """Whether the gallery says that it is done."""
        request = json.dumps({"action": "edit", "text": text, **name}).encode()
        return self._ask("POST", "/change", self._headers, request).status == 200


def edit_until_killed(folder: Path, number: int, draw: random.Random) -> list[str]:
    """Edits one text after another in a served gallery until it ends; every edit that was said to be done is there."""
    words = ["gallery", "edited", "--images", "photos", "--serve", "--port", "0"]
    read, write = os.pipe()
    process, done = Command(folder, words, write), {}
    os.close(write)
    with open(read) as printed:
        page, names = Page(printed.readline().strip()), read_names(folder / "edited")
    until = time.monotonic() + draw.uniform(0.0, 0.5)
    for count in range(10**6):
        name = draw.choice(names)
        if page.edit(name, f"edit {count} {time.time_ns()}"):
            done[tuple(name.values())] = f"edit {count} "
        if time.monotonic() > until:
            break
    wrong = end(folder, process, number)
    with closing(sqlite3.connect(folder / "edited/descriptions.sqlite")) as connection:
        query = "SELECT text FROM descriptions WHERE digest = ? AND prompt = ? AND describer = ? AND sample = ?"
        stored = {name: connection.execute(query, name).fetchone()[0] for name in done}
    wrong += [f"the edit of {name} is lost" for name, text in done.items() if not stored[name].startswith(text)]
    return wrong + ([] if done else ["no edit came about"])


def read_names(work: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(work / "descriptions.sqlite")) as connection:
        rows = connection.execute("SELECT digest, prompt, describer, sample FROM descriptions").fetchall()
    return [dict(zip(("digest", "prompt", "describer", "sample"), row, strict=True)) for row in rows]


def num_asked_again(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
        return json.load(answer)["asked_twice"]


@contextmanager
def served() -> Iterator[str]:
    words = [sys.executable, str(SERVER), "--latency-s", "0.2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


def try_all(
    folder: Path, url: str, signals: list[signal.Signals], draw: random.Random, disturbed: list[str]
) -> list[str]:
    """Runs all undisturbed in one folder, in another with some disturbed; returns all that is wrong."""
    whole, killed = folder / "whole", folder / "killed"
    for one in (whole, killed):
        make_photos(one / "photos")
    wrong, seconds, todo, num_done = list[str](), {}, commands(url), Counter[str]()
    for name, words in todo.items():
        begin = time.monotonic()
        if status := Command(whole, words).wait():
            wrong.append(f"{name}: exit status {status} undisturbed: {(folder / 'errors.txt').read_text()[-500:]}")
        seconds[name] = time.monotonic() - begin
    before, kinds = num_asked_again(url), disturbed or [*todo, "edits"]
    planned = {kind: signals[place :: len(kinds)] for place, kind in enumerate(kinds)}
    for name, words in todo.items():
        for number in planned.get(name, []):
            found, done = disturb(killed, words, number, draw, seconds[name], killed / OUTPUTS[name])
            num_done[name] += done
            wrong += [f"{name}, {number.name} {what}" for what in found]
            print(".", end="", flush=True)
        print(f" {name}: {len(wrong)} findings", flush=True)
        if status := Command(killed, words).wait():
            wrong.append(f"{name}: exit status {status} at last: {(folder / 'errors.txt').read_text()[-500:]}")
    # The server counts each picture of the second folder as asked twice, for the first was asked about the same.
    again = num_asked_again(url) - before - NUM_PHOTOS * (1 + num_done["describe"])
    if again > IN_FLIGHT * len(planned.get("describe", [])):
        wrong.append(f"{again} answers were paid for again, more than {IN_FLIGHT} in flight each time")
    expected, found = results(whole), results(killed)
    wrong += [f"{name} differs: {expected.get(name)}, {found.get(name)}" for name in sorted(expected.keys() | found)
              if expected.get(name) != found.get(name)]  # fmt: skip
    shutil.copytree(killed / "work", killed / "edited")
    for number in planned.get("edits", []):
        wrong += [f"edits, {number.name}: {what}" for what in edit_until_killed(killed, number, draw)]
    print()
    told = ", ".join(f"{name} {seconds.get(name, 0):.0f} s x {len(planned[name])}" for name in planned)
    print(f"{told}; {again} answers paid for again; {len(expected)} results compared")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--terms", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[], help="the commands that are disturbed; default all")
    arguments = parser.parse_args()
    load_libraries()
    draw = random.Random(arguments.seed)
    signals = [signal.SIGKILL] * arguments.kills + [signal.SIGTERM] * arguments.terms
    with served() as url, tempfile.TemporaryDirectory() as folder:
        wrong = try_all(Path(folder).resolve(), url, signals, draw, arguments.only)
    print(f"{len(signals)} signals, {len(wrong)} findings", *wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""Does every image end described or in its true state, whatever the server does and whoever is killed?

    python benchmarks/describe_faults.py [--images 5000] [--kills 5]

The server gives 5 % 429, 3 % 500, 1 % hangs, 1 % cut bodies, and for lasting 2 % of the images empty answers, for
2 % only reasoning, for 1 % refusals. The describing process is killed (SIGKILL) at random moments and started again.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from gpt4image.describe import DescriptionStore, State
from gpt4image.describe.endpoint.payload import encode_image, to_data_url
from gpt4image.images import open_images, scan_images

SERVER = Path(__file__).with_name("describe_server.py")
FAULTS = {"429": 0.05, "500": 0.03, "hang": 0.01, "cut": 0.01, "empty": 0.02, "reasoning_only": 0.02, "refused": 0.01}
IN_FLIGHT = 32
IMAGE_SIZE = 768


def write_images(folder: Path, num_images: int) -> None:
    generator = np.random.default_rng(0)
    folder.mkdir()
    for number in range(num_images):
        Image.fromarray(generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{number:05}.jpg")


def true_state(picture: str) -> State:
    """What the server does with an image, as `describe_server.py` draws it."""
    number = int(picture[:8], 16) / 2**32
    for name in ("empty", "reasoning_only", "refused"):
        number -= FAULTS[name]
        if number < 0:
            return State(name)
    return State.OK


def describe_and_kill(command: list[str], kills: int, expected_s: float) -> None:
    """Runs the command, kills it `kills` times at random moments, then lets it finish."""
    moments = random.Random(0)
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(1.5, 1.5 + expected_s / (kills + 1)))
        process.kill()
        process.wait()
    status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    assert status == 3, f"refusals and empty answers make it exit status 3, not {status}"


def check_store(folder: Path, work: Path) -> Counter[State]:
    """Checks every row against what the server must have answered about that very image."""
    images = open_images(str(folder))
    digests = scan_images(images, work / "scan.sqlite").digests
    with DescriptionStore.open(work) as store:
        rows = {row.digest: row for row in store.descriptions()}
    assert len(rows) == len(images), f"{len(images) - len(rows)} images are lost"
    for index, digest in enumerate(digests):
        data_url = to_data_url(encode_image(images, index, IMAGE_SIZE))
        picture = hashlib.sha256(data_url.encode()).hexdigest()
        row = rows[digest]
        assert row.state == true_state(picture), (row, true_state(picture))
        assert row.state is not State.OK or picture[:6] in row.text, f"text of another image: {row}"
    return Counter(row.state for row in rows.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=5)
    arguments = parser.parse_args()
    faults = [f"{name}={share}" for name, share in FAULTS.items()]
    server = [sys.executable, str(SERVER), "--latency-s", "0.2", "--faults", *faults]
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            folder, work = Path(name) / "images", Path(name) / "work"
            write_images(folder, arguments.images)
            command = [sys.executable, "-m", "gpt4image.cli", "describe", str(folder), str(work), "--endpoint", url]
            command += ["--model", "m", "--timeout-s", "3", "--in-flight", str(IN_FLIGHT)]
            describe_and_kill(command, arguments.kills, arguments.images * 0.25 / IN_FLIGHT)
            states = check_store(folder, work)
            with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
                counts = json.load(answer)
        finally:
            process.kill()
    retries = sum(counts["statuses"].get(name, 0) for name in ("429", "500", "hang", "cut"))
    most = arguments.images + retries + arguments.kills * IN_FLIGHT
    print("states:", ", ".join(f"{state} {number}" for state, number in sorted(states.items())))
    allowed = f"{arguments.images} + {retries} retries + {arguments.kills} x {IN_FLIGHT}"
    print(f"requests: {counts['requests']}, allowed {allowed}")
    print(f"answered twice: {counts['asked_twice']} (lost with the killed processes)")
    assert counts["requests"] <= most


if __name__ == "__main__":
    main()

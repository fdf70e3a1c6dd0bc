"""How fast are images described, against the limit the server sets, and against a plain client? In how much memory?

    python benchmarks/describe_throughput.py            # all questions, some minutes
    python benchmarks/describe_throughput.py --only 32  # one of: 32, 256, memory

The server waits 250 ms before each answer, so that K requests in flight can give at most 4 K a second. Rates are
taken by the server, from the first request to the last answer; both processes share this machine's cores.
"""

import argparse
import asyncio
import base64
import json
import resource
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

LATENCY_S = 0.25
MEMORY_IN_FLIGHT = 64
"""The same for few and many images: each request in flight has its connection and buffers, 100 kB or so."""
SERVER = Path(__file__).with_name("describe_server.py")


@contextmanager
def running_server(latency_s: float = LATENCY_S) -> Iterator[str]:
    command = [sys.executable, str(SERVER), "--latency-s", str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def rate_seen_by(url: str, num_images: int) -> float:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
        counts = json.load(answer)
    assert counts["asked"] == num_images, counts
    return num_images / counts["seconds"]


def write_images(folder: Path, num_images: int, num_bytes: int) -> Path:
    """JPEGs of about `num_bytes`, each with a few bytes of its own in a comment."""
    generator = np.random.default_rng(0)
    side = int((num_bytes * 1.6) ** 0.5)
    pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "seed.jpg", quality=75)
    seed = (folder / "seed.jpg").read_bytes()
    (folder / "seed.jpg").unlink()
    for number in range(num_images):
        image = bytearray(seed)
        image[-300:-292] = bytes(1 + (number >> shift) % 16 for shift in range(0, 32, 4))
        (folder / f"{number:06}.jpg").write_bytes(image)
    print(f"{num_images} images of {len(seed) / 1000:.0f} kB", file=sys.stderr)
    return folder


def describe_in_child(folder: Path, work: Path, url: str, in_flight: int | None) -> int:
    """Describes in a process of its own; returns its peak memory in kB."""
    command = [sys.executable, "-m", "gpt4image.cli", "describe", str(folder), str(work), "--endpoint", url]
    command += ["--model", "m", *([] if in_flight is None else ["--in-flight", str(in_flight)])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


async def describe_plainly(folder: Path, url: str, in_flight: int) -> None:
    """What everybody writes first: the SDK as it comes, a semaphore, gather."""
    from openai import AsyncOpenAI

    room = asyncio.Semaphore(in_flight)
    async with AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(path: Path) -> str | None:
            async with room:
                image = base64.b64encode(path.read_bytes()).decode()
                content = [
                    {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{image}"}},
                    {"type": "text", "text": "Describe this image in detail."},
                ]
                messages = [{"role": "user", "content": content}]
                answer = await client.chat.completions.create(model="m", messages=messages, max_tokens=512)
                return answer.choices[0].message.content

        await asyncio.gather(*map(ask, sorted(folder.iterdir())))


def measure_rate(in_flight: int | None, num_images: int) -> float:
    with tempfile.TemporaryDirectory() as name, running_server() as url:
        folder = Path(name) / "images"
        folder.mkdir()
        describe_in_child(write_images(folder, num_images, 60_000), Path(name) / "work", url, in_flight)
        return rate_seen_by(url, num_images)


def measure_plain_rate(in_flight: int, num_images: int) -> float:
    with tempfile.TemporaryDirectory() as name, running_server() as url:
        asyncio.run(describe_plainly(write_images(Path(name), num_images, 60_000), url, in_flight))
        return rate_seen_by(url, num_images)


def measure_memory(num_images: int) -> float:
    with tempfile.TemporaryDirectory() as name, running_server(latency_s=0.0) as url:
        folder = Path(name) / "images"
        folder.mkdir()
        write_images(folder, num_images, 2_000)
        program = Path(__file__).resolve()
        command = [sys.executable, str(program), "--child", str(folder), str(Path(name) / "work"), url]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rate_seen_by(url, num_images)
        return float(answer.stdout) / 1000


def ask_at_32() -> None:
    limit = 32 / LATENCY_S
    rate = measure_rate(32, 2000)
    print(f"32 in flight: {rate:.1f} a second, {rate / limit:.3f} of the limit {limit:.0f}", flush=True)


def ask_at_256() -> None:
    plain, ours, adapted = measure_plain_rate(256, 4000), measure_rate(256, 6000), measure_rate(None, 6000)
    print(f"256 in flight: {ours:.0f} a second, {ours / plain:.2f} times the SDK's default with gather: {plain:.0f}")
    print(f"no --in-flight: {adapted:.0f} a second over the whole run, the climb from 8 in flight included", flush=True)


def ask_memory() -> None:
    small, large = measure_memory(1_000), measure_memory(100_000)
    print(
        f"memory: {small:.0f} MB for 1,000 images, {large:.0f} MB for 100,000: {large - small:.0f} MB more", flush=True
    )


if __name__ == "__main__":
    questions = {"32": ask_at_32, "256": ask_at_256, "memory": ask_memory}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=questions)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(
            describe_in_child(Path(arguments.child[0]), Path(arguments.child[1]), arguments.child[2], MEMORY_IN_FLIGHT)
        )
    else:
        for name, ask in questions.items():
            if arguments.only in (None, name):
                ask()

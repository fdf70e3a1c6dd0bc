"""The quickstart as a newcomer runs it: a folder of photos and an endpoint in, a report and a model out."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
from PIL import Image

from gpt4image.describe.store.store import DescriptionStore

ROOT = Path(__file__).parents[2]
SMALL = {"SIZE": "64", "SEEDS": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A server that looks at what it is sent."""
    command = [sys.executable, str(ROOT / "tests/describe/doctor/card_server.py"), "sees"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(20):
        colour, name = (((220, 30, 30), "apple"), ((30, 50, 220), "berry"))[number % 2]
        pixels = generator.normal(colour, 20, (40, 40, 3)).clip(0, 255).astype(np.uint8)
        path = tmp_path / "my photos" / name / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)
    return tmp_path / "my photos"


def test_from_a_folder_and_an_endpoint_to_report_and_model(photos: Path, endpoint: str, tmp_path: Path) -> None:
    out = tmp_path / "out here"
    command = [str(ROOT / "examples/quickstart.sh"), str(photos), endpoint, "any", str(out)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **SMALL, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    for words in ("verdict: the endpoint sees", "16 images for training", "16 text embeddings", "top-1", "report: "):
        assert words in done.stdout, done.stdout
    page = (out / "comparison" / "index.html").read_text(encoding="utf-8")
    with DescriptionStore.open(out / "work") as store:
        assert any("mostly blue, " in description.text for description in store.ok_descriptions())
        assert store.prompts() == {"describe_and_pick@1": 16}
    assert "aligned" in page
    assert timm.create_model(f"local-dir:{out / 'exported'}", pretrained=True).num_classes == 2


def test_device_arithmetic_and_workers_are_left_to_the_machine() -> None:
    script = (ROOT / "examples/quickstart.sh").read_text(encoding="utf-8")
    assert not re.search(r"device|precision|workers|channels|compile|amp", re.sub("(?m)^#.*", "", script))


def test_without_arguments_it_says_how_it_is_used() -> None:
    done = subprocess.run([str(ROOT / "examples/quickstart.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "examples/quickstart.sh photos http://localhost:11434/v1 qwen2.5vl" in done.stdout

"""Small photos, one colour a class, as bytes of image files, and tar shards of them."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def photos_of() -> dict[str, list[bytes]]:
    """Twelve 32 px PNG files of each of two classes."""
    rng = np.random.default_rng(0)
    photos: dict[str, list[bytes]] = {"finch": [], "owl": []}
    for channel, made in enumerate(photos.values()):
        for _ in range(12):
            pixels = rng.integers(0, 80, (32, 32, 3), dtype=np.uint8)
            pixels[:, :, channel] += 150
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            made.append(buffer.getvalue())
    return photos


@pytest.fixture(scope="session")
def write_shard() -> Callable[..., None]:
    """Writes a tar file of named contents."""

    def write(path: Path, files: Mapping[str, bytes | str], mode: str = "w") -> None:
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, mode) as tar:
            for name, content in files.items():
                data = content.encode() if isinstance(content, str) else content
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

    return write

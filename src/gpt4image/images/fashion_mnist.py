"""Fashion-MNIST (Copyright 2017 Zalando SE, MIT licence): from Debian's package, else by torchvision's download."""

import gzip
import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from gpt4image.errors import ImageSetError
from gpt4image.images.cache import cache_folder
from gpt4image.images.image_set import ImageSet, ImageStore

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
PARTS = {"train": "train", "1k": "train", "test": "t10k"}


class ArrayStore(ImageStore):
    """Images that are rows of one uint8 array [N, H, W]."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def read_bytes(self, position: int) -> bytes:
        return self.pixels[position].tobytes()

    def decode(self, data: bytes, draft_size: tuple[int, int] | None) -> Image.Image:
        return Image.fromarray(np.frombuffer(data, dtype=np.uint8).reshape(self.pixels.shape[1:]))


def open_fashion_mnist(source: str) -> ImageSet:
    """Opens `fashion-mnist:train` (60,000), `:test` (10,000) or `:1k` (the training images described in the package).

    The key of an image is its part and row, such as `train/60`; its digest is that of its 784 pixel bytes.

    Raises:
        ImageSetError: there is no such part, or the images are not there and cannot be downloaded.
    """
    part = source.partition(":")[2]
    if part not in PARTS:
        raise ImageSetError(f"{source} is not a part of Fashion-MNIST; choose from {', '.join(PARTS)}")
    prefix = PARTS[part]
    pixels, labels = _load(prefix)
    rows = np.arange(len(pixels))
    if part == "1k":
        described = files("gpt4image.demo").joinpath("descriptions.jsonl").read_text(encoding="utf-8")
        rows = np.array([json.loads(line)["index"] for line in described.splitlines()])
    keys = [f"{'train' if prefix == 'train' else 'test'}/{row}" for row in rows]
    return ImageSet(source, keys, labels[rows], CLASSES, ArrayStore(pixels), rows)


@lru_cache(maxsize=2)
def _load(prefix: str) -> tuple[np.ndarray, np.ndarray]:
    folder = _folder()
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    return images, labels.astype(np.int64)


def _folder() -> Path:
    if DEBIAN_FOLDER.is_dir():
        return DEBIAN_FOLDER
    raw = cache_folder() / "FashionMNIST" / "raw"
    if not (raw / "t10k-labels-idx1-ubyte.gz").exists():
        from torchvision.datasets import FashionMNIST

        try:
            FashionMNIST(str(cache_folder()), download=True)
        except (OSError, RuntimeError) as error:
            raise ImageSetError(
                "Fashion-MNIST is not on this machine and could not be downloaded; install Debian's package "
                f"dataset-fashion-mnist, or put its four .gz files into {raw}"
            ) from error
    return raw


def _read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file of unsigned bytes: magic number 0x08 and rank, big-endian sizes, then the bytes."""
    with gzip.open(path) as file:
        data = file.read()
    rank = data[3]
    shape = np.frombuffer(data, dtype=">u4", count=rank, offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape.tolist())

"""Opens an image set from one word: a folder, a list, or a known data set."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from gpt4image.errors import ImageSetError
from gpt4image.images.fashion_mnist import open_fashion_mnist
from gpt4image.images.files.names import escape_name
from gpt4image.images.folder import open_folder
from gpt4image.images.image_set import ImageSet
from gpt4image.images.list_file import LIST_SUFFIXES, open_list
from gpt4image.images.webdataset import open_webdataset
from gpt4image.progress import say

FORMS = (
    "a folder with one sub-folder a class, a .csv, .parquet or .jsonl list, hf:NAME_OR_PATH[:SPLIT], webdataset:GLOB, "
    "or fashion-mnist:train, :test or :1k"
)


def open_images(source: str) -> ImageSet:
    """Opens an image set, and says once what was left out of it and what looks like a mistake.

    Args:
        source: a folder (one sub-folder a class as in torchvision's ImageFolder; `_unlabelled` holds images
            without a label), a list `FILE.csv|.parquet|.jsonl` with the columns `path` and, optionally, `label`
            (`FILE?column=value` takes the matching rows only), `hf:NAME_OR_PATH[:SPLIT]` for Hugging Face
            `datasets`, `webdataset:GLOB` for tar shards, or `fashion-mnist:train|test|1k`.

    Raises:
        ImageSetError: there is no such image set, it holds no images, or two of them have one key.
    """
    images = _open(source)
    for line in images.remarks.lines():
        _say_once(f"{source}: {line}")
    if len(images) == 0:
        raise ImageSetError(f"{images.source} holds no images; images are {FORMS}")
    if len(set(images.keys)) < len(images):
        twice = next(key for key, count in Counter(images.keys).items() if count > 1)
        raise ImageSetError(f"{source} has several images with the key {twice!r}; rename one, keys must be unique")
    return images


def divide_source(
    source: str, is_there: Callable[[str], bool] = lambda name: Path(name).expanduser().exists()
) -> tuple[str, str]:
    """A folder or list, and the condition behind its question mark; one may also be part of a name that is there."""
    name, condition = source, ""
    while "?" in name and not is_there(name):
        name, _, last = name.rpartition("?")
        condition = f"{last}?{condition}" if condition else last
    return name, condition


def _open(source: str) -> ImageSet:
    if not source.strip():
        raise ImageSetError(f"the word for the images is empty; images are {FORMS}")
    if source.startswith("fashion-mnist:"):
        return open_fashion_mnist(source)
    if source.startswith("hf:"):
        from gpt4image.images.hugging_face import open_hugging_face

        return open_hugging_face(source)
    if source.startswith("webdataset:"):
        return open_webdataset(source)
    if escape_name(source) != source:
        raise ImageSetError(
            f"{escape_name(source)}: the name is not in UTF-8; rename it, or go into the folder and give ."
        )
    name, condition = divide_source(source)
    path = Path(name).expanduser()
    if path.is_dir() and not condition:
        return open_folder(source, path)
    if path.is_file() and path.suffix.lower() in LIST_SUFFIXES:
        return open_list(source, path, condition)
    if path.exists():
        raise ImageSetError(f"{source} is not an image set; it must be {FORMS}")
    raise ImageSetError(f"{source} does not exist; images are {FORMS}")


_say_once = cache(say)
"""A command opens its images more than once."""

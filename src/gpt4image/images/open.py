"""Opens an image set from one word: a folder, a list, or a known data set."""

from pathlib import Path

from gpt4image.errors import ImageSetError
from gpt4image.images.fashion_mnist import open_fashion_mnist
from gpt4image.images.folder import open_folder
from gpt4image.images.image_set import ImageSet
from gpt4image.images.list_file import LIST_SUFFIXES, open_list
from gpt4image.images.webdataset import open_webdataset

FORMS = (
    "a folder with one sub-folder a class, a .csv, .parquet or .jsonl list, hf:NAME_OR_PATH[:SPLIT], webdataset:GLOB, "
    "or fashion-mnist:train, :test or :1k"
)


def open_images(source: str) -> ImageSet:
    """Opens an image set.

    Args:
        source: a folder (one sub-folder a class as in torchvision's ImageFolder; `_unlabelled` holds images
            without a label), a list `FILE.csv|.parquet|.jsonl` with the columns `path` and, optionally, `label`
            (`FILE?column=value` takes the matching rows only), `hf:NAME_OR_PATH[:SPLIT]` for Hugging Face
            `datasets`, `webdataset:GLOB` for tar shards, or `fashion-mnist:train|test|1k`.

    Raises:
        ImageSetError: there is no such image set, or it holds no images.
    """
    if source.startswith("fashion-mnist:"):
        return open_fashion_mnist(source)
    if source.startswith("hf:"):
        from gpt4image.images.hugging_face import open_hugging_face

        return _check_not_empty(open_hugging_face(source))
    if source.startswith("webdataset:"):
        return _check_not_empty(open_webdataset(source))
    name, _, condition = source.partition("?")
    path = Path(name).expanduser()
    if path.is_dir() and not condition:
        images = open_folder(source, path)
    elif path.is_file() and path.suffix.lower() in LIST_SUFFIXES:
        images = open_list(source, path, condition)
    elif path.exists():
        raise ImageSetError(f"{source} is not an image set; it must be {FORMS}")
    else:
        raise ImageSetError(f"{source} does not exist; images are {FORMS}")
    return _check_not_empty(images)


def _check_not_empty(images: ImageSet) -> ImageSet:
    if len(images) == 0:
        raise ImageSetError(f"{images.source} holds no images; images are {FORMS}")
    return images

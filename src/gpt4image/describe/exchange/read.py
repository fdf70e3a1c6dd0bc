"""Reads descriptions other programs have written, whatever the form, as rows about images."""

from collections.abc import Iterator
from pathlib import Path

from gpt4image.describe.replay.rows import SUFFIXES, Row, read_rows
from gpt4image.errors import DescriptionError
from gpt4image.images import ImageSet

TEXT_FIELDS = ("description", "text", "caption")
FORMS = f"a file {', '.join(SUFFIXES)}, answers to a batch file, a folder of .txt side-cars, or a .pth list"


def read_any(path: Path, images: ImageSet | None) -> Iterator[Row]:
    """Yields rows that name an image and hold texts.

    Args:
        path: what to read.
        images: the images in question; a .pth list needs them.

    Raises:
        DescriptionError: the file has no known form, or does not fit the images.
    """
    if path.is_dir():
        return _read_sidecars(path)
    if path.suffix == ".pth":
        return _read_pth(path, images)
    if path.suffix == ".csv" or path.suffix in SUFFIXES:
        return read_rows(path)
    raise DescriptionError(f"{path} is {'of no known form' if path.exists() else 'not there'}; import takes {FORMS}")


def _read_sidecars(folder: Path) -> Iterator[Row]:
    """Each .txt file is about the image of its name, as caption tools write them."""
    files = sorted(folder.rglob("*.txt"))
    if not files:
        raise DescriptionError(f"{folder} holds no .txt files; import takes {FORMS}")
    for file in files:
        yield {"stem": file.relative_to(folder).with_suffix("").as_posix(), "text": file.read_text(encoding="utf-8")}


def _read_pth(path: Path, images: ImageSet | None) -> Iterator[Row]:
    """The paper's form: a list of texts in ImageFolder's order. Loaded without running code of the file."""
    import pickle

    import torch

    try:
        texts = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise DescriptionError(f"{path} is no list of texts that can be loaded safely: {_first_line(error)}") from error
    if isinstance(texts, dict):
        return ({"path": str(key), "text": text} for key, text in texts.items())
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise DescriptionError(f"{path} holds {type(texts).__name__}, not a list of texts; import takes {FORMS}")
    if images is None or len(images) != len(texts):
        found = "no --images" if images is None else f"--images {images.source} with {len(images)}"
        raise DescriptionError(
            f"{path} holds {len(texts)} texts in the order of torchvision's ImageFolder, but there is {found}; "
            "give the very folder the list was made from, or write the texts as CSV with the columns path and text"
        )
    return ({"key": images.keys[i], "text": text} for i, text in zip(_image_folder_order(images), texts, strict=True))


def _image_folder_order(images: ImageSet) -> list[int]:
    """Positions in the order of torchvision's `ImageFolder`: by class, then folder, then name."""
    labels, keys = images.labels.tolist(), images.keys
    return sorted(range(len(keys)), key=lambda index: (labels[index], *keys[index].rpartition("/")[::2]))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

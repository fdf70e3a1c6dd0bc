"""Reads descriptions somebody has written before, whatever the form, as rows that name an image and hold texts."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpt4image.errors import DescriptionError
from gpt4image.images import ImageSet

Row = dict[str, Any]
SUFFIXES = (".jsonl", ".csv", ".parquet")
TEXT_FIELDS = ("description", "text", "caption")
FORMS = f"a file {', '.join(SUFFIXES)}, answers to a batch file, a folder of .txt side-cars, or a .pth list"


def read_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a file, in constant memory.

    Raises:
        DescriptionError: there is no such file, or it is not what its name says.
    """
    require_file(path)
    return {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}[path.suffix.lower()](path)


def require_file(path: Path) -> None:
    """Checks that `read_rows` will take the file.

    Raises:
        DescriptionError: it will not.
    """
    if not path.is_file():
        raise DescriptionError(f"{path} does not exist; give the file that holds the descriptions")
    if path.suffix.lower() not in SUFFIXES:
        raise DescriptionError(f"{path} is of no known form; the name must end in {', '.join(SUFFIXES)}")


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DescriptionError(f"{path}, line {number} is no JSON: {error}; mend or remove the line") from error
            if not isinstance(row, dict):
                raise DescriptionError(f"{path}, line {number} is no JSON object; each line must be one, {{...}}")
            yield row


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1024):
            yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise DescriptionError(f"{path} cannot be read as parquet: {error}") from error


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
    if path.suffix in SUFFIXES:
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

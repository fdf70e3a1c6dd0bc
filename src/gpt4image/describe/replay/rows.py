"""Reads descriptions somebody has written before, whatever the form, as rows that name an image and hold texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpt4image.errors import DescriptionError, ImageSetError
from gpt4image.images import ImageSet
from gpt4image.images.files.names import escape_name
from gpt4image.images.files.walk import is_left_out
from gpt4image.images.tables.columns import read_records, read_text

SUFFIXES = (".jsonl", ".csv", ".parquet")
TEXT_FIELDS = ("description", "text", "caption")
SIDECARS = (".txt", ".caption")
FORMS = (
    f"a file {', '.join(SUFFIXES)}, answers to a batch file, a folder of {' or '.join(SIDECARS)} side-cars, "
    "or a .pth list"
)


class Row(dict[str, Any]):
    """What stands in a row, by column; `place` says in which file and line, for messages."""

    place: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a file, in constant memory.

    Raises:
        DescriptionError: there is no such file, or it is not what its name says; the message names the line.
    """
    require_file(path)
    return _read_rows(path)


def _read_rows(path: Path) -> Iterator[Row]:
    unit = "row" if path.suffix.lower() == ".parquet" else "line"
    try:
        for number, values in read_records(path):
            yield _row_at(f"{path}, {unit} {number}", values)
    except ImageSetError as error:
        raise DescriptionError(str(error)) from error


def _row_at(place: str, values: dict[str, Any]) -> Row:
    row = Row(values)
    row.place = place
    return row


def require_file(path: Path) -> None:
    """Checks that `read_rows` will take the file.

    Raises:
        DescriptionError: it will not.
    """
    if not path.is_file():
        raise DescriptionError(f"{path} does not exist; give the file that holds the descriptions")
    if path.suffix.lower() not in SUFFIXES:
        raise DescriptionError(f"{path} is of no known form; the name must end in {', '.join(SUFFIXES)}")


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
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return read_rows(path)
    raise DescriptionError(f"{path} is {'of no known form' if path.exists() else 'not there'}; import takes {FORMS}")


def _read_sidecars(folder: Path) -> Iterator[Row]:
    """Each side-car is about the image of its name, as caption tools write them; hidden files are about none."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SIDECARS and path.is_file()]
    files = [path for path in files if not is_left_out(path.relative_to(folder).parts)]
    if not files:
        raise DescriptionError(f"{folder} holds no {' or '.join(SIDECARS)} files; import takes {FORMS}")
    for file in files:
        stem = escape_name(file.relative_to(folder).with_suffix("").as_posix())
        try:
            yield _row_at(escape_name(str(file)), {"stem": stem, "text": read_text(file)})
        except ImageSetError as error:
            raise DescriptionError(escape_name(str(error))) from error


def _read_pth(path: Path, images: ImageSet | None) -> Iterator[Row]:
    """The paper's form: a list of texts in ImageFolder's order. Loaded without running code of the file."""
    import pickle

    import torch

    try:
        texts = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise DescriptionError(f"{path} is no list of texts that can be loaded safely: {_first_line(error)}") from error
    if isinstance(texts, dict):
        rows = [{"path": str(key), "text": text} for key, text in texts.items()]
    else:
        _check_list(texts, path, images)
        assert images is not None
        order = _image_folder_order(images)
        rows = [{"key": images.keys[index], "text": text} for index, text in zip(order, texts, strict=True)]
    return (_row_at(f"{path}, text {number}", row) for number, row in enumerate(rows, start=1))


def _check_list(texts: Any, path: Path, images: ImageSet | None) -> None:
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise DescriptionError(f"{path} holds {type(texts).__name__}, not a list of texts; import takes {FORMS}")
    if images is None or len(images) != len(texts):
        found = "no --images" if images is None else f"--images {images.source} with {len(images)}"
        raise DescriptionError(
            f"{path} holds {len(texts)} texts in the order of torchvision's ImageFolder, but there is {found}; "
            "give the very folder the list was made from, or write the texts as CSV with the columns path and text"
        )


def _image_folder_order(images: ImageSet) -> list[int]:
    """Positions in the order of torchvision's `ImageFolder`: by class, then folder, then name."""
    labels, keys = images.labels.tolist(), images.keys
    return sorted(range(len(keys)), key=lambda index: (labels[index], *keys[index].rpartition("/")[::2]))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

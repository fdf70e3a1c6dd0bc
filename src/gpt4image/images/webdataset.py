"""Image sets in WebDataset tar shards, read at random: where each image lies is found once and remembered."""

import glob
import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gpt4image.errors import ImageSetError
from gpt4image.files import atomic_path
from gpt4image.images.cache import cache_folder
from gpt4image.images.folder import IMAGE_SUFFIXES
from gpt4image.images.image_set import ImageSet, Stamp, decode_file
from gpt4image.images.labels import check_labels, number_labels
from gpt4image.images.source_words import split_source
from gpt4image.progress import track

FORM = "webdataset:GLOB[?label=FIELD_OF_JSON&classes=FILE], such as 'webdataset:shards/train-{0000..0146}.tar'"
OPTIONS = ("label", "classes")
CLASS_NAMES = "classnames.txt"
"""Beside the shards: one class name a line, for labels that are numbers."""


class TarStore:
    """Images within uncompressed tar files.

    Args:
        paths: the shards.
        shards: int32 [N], number of each image's shard.
        offsets: int64 [N], where its bytes begin.
        sizes: int64 [N], how many they are.
    """

    def __init__(self, paths: Sequence[str], shards: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> None:
        self.paths, self.shards, self.offsets, self.sizes = paths, shards, offsets, sizes
        self.times = [os.stat(path).st_mtime_ns for path in paths]

    def read_bytes(self, position: int) -> bytes:
        with open(self.paths[self.shards[position]], "rb", buffering=0) as file:
            file.seek(int(self.offsets[position]))
            return file.read(int(self.sizes[position]))

    def decode(self, data: bytes, draft_size: tuple[int, int] | None) -> Image.Image:
        return decode_file(data, draft_size)

    def location(self, position: int) -> Path | None:
        return None

    def stamp(self, position: int) -> Stamp | None:
        shard = self.shards[position]
        return f"{self.paths[shard]}#{self.offsets[position]}", int(self.sizes[position]), self.times[shard]


def open_webdataset(source: str) -> ImageSet:
    """Opens shards; see `FORM`.

    A sample's files share the name up to the first dot: an image, and `cls` or a field `label` of `json` for the
    label. The key of an image is its shard and sample, such as `train-0000/n01440764_10026`.

    Raises:
        ImageSetError: there are no such shards, one is compressed or no tar file, or they hold no images.
    """
    word, options = split_source(source.partition(":")[2], OPTIONS, source, FORM)
    paths = sorted(
        os.path.abspath(path) for part in _expand_braces(word) for path in glob.glob(os.path.expanduser(part))
    )
    if not paths:
        raise ImageSetError(f"{source}: there are no such files; write {FORM}")
    with track("finding images in shards", len(paths)) as tracker:
        indices = []
        for path in paths:
            indices.append(_read_index(path))
            tracker.advance()
    columns = {name: [value for index in indices for value in index[name]] for name in indices[0]}
    if not columns["key"]:
        raise ImageSetError(f"{source} has no images: no sample has a file {', '.join(IMAGE_SUFFIXES)}")
    labels, classes = _number(columns, options, Path(paths[0]).parent, source)
    shards = np.repeat(np.arange(len(paths), dtype=np.int32), [len(index["key"]) for index in indices])
    places = (np.array(columns[name], dtype=np.int64) for name in ("offset", "size"))
    return ImageSet(source, columns["key"], labels, classes, TarStore(paths, shards, *places), np.arange(len(shards)))


def _expand_braces(word: str) -> Iterator[str]:
    """`a-{00..12}.tar` as a-00.tar to a-12.tar."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", word)
    if match is None:
        yield word
        return
    first, last = match.groups()
    for number in range(int(first), int(last) + 1):
        yield from _expand_braces(f"{word[: match.start()]}{number:0{len(first)}d}{word[match.end() :]}")


def _read_index(path: str) -> dict[str, list[Any]]:
    """Key, offset, size, cls and json of each image of a shard; remembered by path, size and time."""
    import pyarrow as pa
    from pyarrow import parquet

    status = os.stat(path)
    name = hashlib.sha256(f"{path}\n{status.st_size}\n{status.st_mtime_ns}".encode()).hexdigest()
    remembered = cache_folder() / "webdataset" / f"{name}.parquet"
    if remembered.exists():
        return parquet.read_table(remembered).to_pydict()
    rows = list(_find_images(path))
    types = {"key": pa.string(), "offset": pa.int64(), "size": pa.int64(), "cls": pa.string(), "json": pa.string()}
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(types.items())))
    with atomic_path(remembered) as temporary:
        parquet.write_table(table, temporary)
    return table.to_pydict()


def _find_images(path: str) -> Iterator[dict[str, Any]]:
    shard = Path(path).stem
    samples: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                folder, slash, name = member.name.removeprefix("./").rpartition("/")
                stem, _, suffix = name.partition(".")
                if not member.isfile() or not stem:
                    continue
                sample = samples.setdefault(f"{folder}{slash}{stem}", {})
                if f".{suffix.lower().rpartition('.')[2]}" in IMAGE_SUFFIXES:
                    sample |= {"offset": member.offset_data, "size": member.size}
                elif suffix in ("cls", "json") and (file := tar.extractfile(member)):
                    sample[suffix] = file.read().decode().strip()
    except (tarfile.ReadError, UnicodeDecodeError) as error:
        raise ImageSetError(
            f"{path} cannot be read at random ({error}); shards must be plain .tar files, not compressed"
        ) from error
    yield from ({"key": f"{shard}/{key}", **sample} for key, sample in samples.items() if "offset" in sample)


def _number(
    columns: dict[str, list[Any]], options: dict[str, str], folder: Path, source: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels and classes of all images."""
    field = options.get("label")
    values = [
        cls if field is None and cls is not None else _field(text, field or "label")
        for cls, text in zip(columns["cls"], columns["json"], strict=True)
    ]
    if field is not None and not any(value is not None for value in values):
        raise ImageSetError(f"{source}: no sample has a .json with the field {field!r}")
    file = Path(options["classes"]).expanduser() if "classes" in options else folder / CLASS_NAMES
    if "classes" in options and not file.exists():
        raise ImageSetError(f"{source}: {file} does not exist; it holds one class name a line")
    if not file.exists() or not any(value is not None for value in values):
        return number_labels(values)
    classes = tuple(file.read_text(encoding="utf-8").splitlines())
    return check_labels(values, classes, source), classes


def _field(text: str | None, name: str) -> Any:
    value = json.loads(text) if text else None
    return value.get(name) if isinstance(value, dict) else None

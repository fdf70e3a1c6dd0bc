"""`gpt4image label-export`: weighed labels for anybody's trainer, as a list or as a folder of links by class."""

import hashlib
import io
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import normalize

import numpy as np

from gpt4image.errors import LabelError, SettingsError
from gpt4image.files import atomic_folder, atomic_path, write_csv
from gpt4image.label.artifact import LabelTable
from gpt4image.label.weigh.evidence import STATES
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.images import ImageSet

LISTS = (".csv", ".jsonl", ".parquet")
LONGEST_NAME_BYTES = 200
"""Of a file or folder; most systems allow 255."""


@dataclass(frozen=True)
class LabelExportSettings:
    """Writes weighed labels for other trainers (timm, AutoGluon, ultralytics, torchvision's ImageFolder).

    Attributes:
        work: the work folder.
        out: FILE.csv, .jsonl or .parquet with path, label, given, confidence and state; or a folder that gets one
            sub-folder a class.
        name: of the labels in WORK/labels
        states: only images in these states; all that have a label if not given
        least_confidence: leave out images whose label is less sure than this
        files: links to the images, or copies; images in shards or data sets are always copied
    """

    work: Path
    out: Path
    name: str = "default"
    states: tuple[str, ...] = ()
    least_confidence: float = 0.0
    files: Literal["link", "copy"] = "link"

    def __post_init__(self) -> None:
        if not 0 <= self.least_confidence <= 1:
            raise SettingsError(f"--least-confidence is {self.least_confidence}; it must be between 0 and 1")
        for state in self.states:
            if state not in STATES:
                raise SettingsError(f"--states {state} is no state; choose from {', '.join(STATES)}")
        if self.out.suffix and self.out.suffix not in LISTS and not self.out.is_dir():
            raise SettingsError(f"{self.out} must end in {', '.join(LISTS)}, or be a folder")


@dataclass(frozen=True)
class LabelExportResult(StageResult):
    """What was written: images with a label, images left out, and where; how many have no file that a list can name."""

    num_written: int
    num_left_out: int
    out: Path
    num_without_file: int = 0

    def lines(self) -> Iterator[str]:
        yield f"{self.num_written:,} labels written to {self.out}"
        if self.num_left_out:
            yield f"{self.num_left_out:,} images left out: open, not sure enough, or in another state"
        if self.num_without_file:
            yield (
                f"{self.num_without_file:,} images are no files of their own: their path is their key; "
                "export to a folder to get files"
            )


def export_labels(settings: LabelExportSettings) -> LabelExportResult:
    """Writes the labels.

    Raises:
        LabelError: there are none, or the images have changed or cannot be found.
    """
    from gpt4image.images import open_images
    from gpt4image.images.files.names import escape_name

    table = LabelTable.open(settings.work, settings.name)
    rows = table.rows
    chosen = _choose(settings, rows)
    if not len(chosen):
        raise LabelError(f"{table.folder} has no such labels; see --states and --least-confidence")
    images = open_images(table.manifest["source"])
    position = {key: index for index, key in enumerate(images.keys)}
    keys = rows["key"].take(chosen).to_pylist()
    if lost := [key for key in keys if key not in position]:
        raise LabelError(f"{table.manifest['source']} has no image {lost[0]} any more; give the label command again")
    indices = [position[key] for key in keys]
    picked, num_without_file = rows.take(chosen), 0
    if settings.out.suffix in LISTS:
        places = [images.location(index) for index in indices]
        num_without_file = places.count(None)
        paths = [escape_name(str(place or key)) for place, key in zip(places, keys, strict=True)]
        _write_list(settings.out, picked, paths)
    else:
        _write_folder(settings, images, indices, picked["proposed"].to_pylist())
    return LabelExportResult(len(chosen), len(rows) - len(chosen), settings.out, num_without_file)


def _choose(settings: LabelExportSettings, rows: Any) -> np.ndarray:
    """Rows that have a label, are in the wanted states, and are sure enough."""
    states, wanted = np.array(rows["state"].to_pylist()), settings.states or STATES
    sure = rows["confidence"].to_numpy() >= settings.least_confidence
    return np.flatnonzero(np.isin(states, wanted) & rows["proposed"].is_valid().to_numpy() & sure)


def _write_list(out: Path, rows: Any, paths: Sequence[str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = rows.drop_columns(
        [name for name in ("classes", "probabilities", "told") if name in rows.column_names]
    ).rename_columns({"proposed": "label"})
    names = ["label", *(name for name in table.column_names if name != "label")]
    table = table.select(names).add_column(0, "path", pa.array(paths))
    if out.suffix == ".csv":
        write_csv(out, [table.column_names, *(row.values() for row in table.to_pylist())])
        return
    with atomic_path(out) as temporary:
        if out.suffix == ".parquet":
            parquet.write_table(table, temporary)
            return
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())


def _write_folder(settings: LabelExportSettings, images: "ImageSet", indices: Sequence[int], labels: Any) -> None:
    """One sub-folder a class; made beside the target and put in its place when it is whole."""
    out = settings.out
    if out.exists() and any(out.iterdir()):
        raise LabelError(f"{out} is not empty; name a new folder, or delete it")
    folders, files = _name_apart(labels), _name_apart(images.keys[index] for index in indices)
    with atomic_folder(out) as new:
        for index, label in zip(indices, labels, strict=True):
            source = images.location(index)
            target = new / folders[label] / files[images.keys[index]]
            target.parent.mkdir(exist_ok=True)
            if source is None:
                suffix, data = _as_file(images, index)
                target.with_name(target.name + suffix).write_bytes(data)
            elif settings.files == "copy":
                shutil.copyfile(source, target)
            else:
                target.symlink_to(source.resolve())


def _as_file(images: "ImageSet", index: int) -> tuple[str, bytes]:
    """An image that is no file of its own: the end of its name and its bytes; PNG if these are no image file."""
    from PIL import Image

    from gpt4image.images.decoding.decode import open_file
    from gpt4image.images.decoding.formats import image_suffixes

    data = images.read_bytes(index)
    try:
        kind = open_file(data).format
    except Exception:  # As `ImageSet.decode` says: decoders raise what they like.
        buffer = io.BytesIO()
        images.decode(index, data).save(buffer, "PNG")
        return ".png", buffer.getvalue()
    known = Image.registered_extensions()
    return next(suffix for suffix in (".jpg", ".png", *sorted(image_suffixes())) if known.get(suffix) == kind), data


def _name_apart(texts: Iterable[str]) -> dict[str, str]:
    """The name of a file or folder for each text; what is too long, or would be alike anywhere, gets a hash of its own.

    Systems take `A` and `a`, or other Unicode forms of one letter, for one name.
    """
    names = {text: re.sub(r"[/\\\0]", "_", text).lstrip(".") or "_" for text in texts}
    counts = Counter(map(_fold, names.values()))
    fit = {name for name in names.values() if counts[_fold(name)] == 1 and len(os.fsencode(name)) <= LONGEST_NAME_BYTES}
    return {text: name if name in fit else _shorten(name, text) for text, name in names.items()}


def _fold(name: str) -> str:
    return normalize("NFC", name).casefold()


def _shorten(name: str, text: str) -> str:
    stem, suffix = os.path.splitext(name)
    return f"{stem[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{suffix[:10]}"

"""Image sets in WebDataset tar shards, read at random: where each image lies is found once and remembered."""

import glob
import hashlib
import json
import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.files import atomic_path
from gpt4image.images.cache import cache_folder
from gpt4image.images.decoding.formats import image_suffixes, name_left_out
from gpt4image.images.files.names import escape_name
from gpt4image.images.files.walk import is_left_out
from gpt4image.images.image_set import ImageSet, ImageStore, Stamp
from gpt4image.images.remarks import Remarks, enumerate_names
from gpt4image.images.source_words import split_source
from gpt4image.images.tables.columns import read_text
from gpt4image.images.tables.labels import check_labels, name_class, number_labels
from gpt4image.progress import track

FORM = "webdataset:GLOB[?label=FIELD_OF_JSON&classes=FILE], such as 'webdataset:shards/train-{0000..0146}.tar'"
OPTIONS = ("label", "classes")
CLASS_NAMES = "classnames.txt"
"""Beside the shards: one class name a line, for labels that are numbers."""


class TarStore(ImageStore):
    """Images within uncompressed tar files.

    Args:
        paths: the shards.
        shards: int32 [N], number of each image's shard.
        offsets: int64 [N], where its bytes begin.
        sizes: int64 [N], how many they are.
    """

    def __init__(self, paths: Sequence[str], shards: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> None:
        self.paths, self.shards, self.offsets, self.sizes = paths, shards, offsets, sizes
        self.status = [os.stat(path) for path in paths]

    def read_bytes(self, position: int) -> bytes:
        with open(self.paths[self.shards[position]], "rb", buffering=0) as file:
            file.seek(int(self.offsets[position]))
            return file.read(int(self.sizes[position]))

    def stamp(self, position: int) -> Stamp | None:
        shard = self.shards[position]
        status = self.status[shard]
        name = f"{escape_name(self.paths[shard])}#{self.offsets[position]}"
        return name, int(self.sizes[position]), status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def open_webdataset(source: str) -> ImageSet:
    """Opens shards; see `FORM`.

    A sample's files share the name up to the first dot: an image, and `cls` or a field `label` of `json` for the
    label. Images that share it, too, are samples of their own if each has its own `cls` or `json`. The key of an image
    is its shard and sample, such as `train-0000/n01440764_10026`.

    Raises:
        ImageSetError: there are no such shards, one that braces spell out is missing, one is compressed or no tar file,
            a sample has two images, or there are no images.
    """
    word, options = split_source(source.partition(":")[2], OPTIONS, source, FORM)
    paths, remarks = _find_shards(word, source), Remarks()
    with track("finding images in shards", len(paths)) as tracker:
        indices = []
        for path, name in zip(paths, _name_shards(paths), strict=True):
            index, found = _read_index(path)
            index["key"] = [f"{name}/{key}" for key in index["key"]]
            for kind, left_out in found["left_out"].items():
                remarks.leave_out(kind, f"{name}/{left_out['example']}", left_out["count"])
            remarks.sentences += [
                f"{escape_name(os.path.basename(path))} {sentence}" for sentence in found["sentences"]
            ]
            indices.append(index)
            tracker.advance()
    columns = {name: [value for index in indices for value in index[name]] for name in indices[0]}
    if not columns["key"]:
        raise ImageSetError(f"{source} has no images: no sample has a file .jpg, .png or the like")
    labels, classes = _number(columns, options, Path(paths[0]).parent, source, remarks)
    shards = np.repeat(np.arange(len(paths), dtype=np.int32), [len(index["key"]) for index in indices])
    places = (np.array(columns[name], dtype=np.int64) for name in ("offset", "size"))
    store = TarStore(paths, shards, *places)
    return ImageSet(source, columns["key"], labels, classes, store, np.arange(len(shards)), remarks=remarks)


def _find_shards(word: str, source: str) -> list[str]:
    """Absolute paths of the shards, each once, sorted."""
    parts = list(_expand_braces(word))
    found = {part: glob.glob(os.path.expanduser(part)) for part in parts}
    paths = sorted({os.path.abspath(path) for some in found.values() for path in some})
    missing = [os.path.basename(part) for part in parts if not found[part]]
    if not paths:
        raise ImageSetError(f"{source}: there are no such files; write {FORM}")
    if missing:
        raise ImageSetError(
            f"{source}: {len(missing)} of {len(parts)} shards are missing: {enumerate_names(missing)}; "
            "fetch them, or name only those that are there"
        )
    return paths


def _expand_braces(word: str) -> Iterator[str]:
    """`a-{00..12}.tar` as a-00.tar to a-12.tar, `{a,b}.tar` as a.tar and b.tar."""
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", word)
    if match is None:
        yield word
        return
    first, last, words = match.groups()
    numbers = () if words else range(int(first), int(last) + 1)
    for choice in words.split(",") if words else [f"{number:0{len(first)}d}" for number in numbers]:
        yield from _expand_braces(f"{word[: match.start()]}{choice}{word[match.end() :]}")


def _name_shards(paths: Sequence[str]) -> list[str]:
    """The names of the shards; with their folders, from where these differ, if the names alone are not unique."""
    names = [Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        common = os.path.commonpath([os.path.dirname(path) for path in paths])
        names = [os.path.splitext(os.path.relpath(path, common))[0] for path in paths]
    return [escape_name(name) for name in names]


def _read_index(path: str) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Key, offset, size, cls and json of each image of a shard, and remarks; remembered while the file stays the same.

    What is remembered and damaged is made anew.
    """
    import pyarrow as pa
    from pyarrow import parquet

    status = os.stat(path)
    identity = (escape_name(path), status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
    name = hashlib.sha256("\n".join(map(str, ("index 4", *identity))).encode()).hexdigest()
    remembered = cache_folder() / "webdataset" / f"{name}.parquet"
    # Whatever is wrong with the file: what it says can be found again.
    with suppress(Exception):
        table = parquet.read_table(remembered, page_checksum_verification=True)
        return table.to_pydict(), json.loads(table.schema.metadata[b"remarks"])
    remarks = Remarks()
    rows = list(_find_images(path, remarks))
    types = {"key": pa.string(), "offset": pa.int64(), "size": pa.int64(), "cls": pa.string(), "json": pa.string()}
    schema = pa.schema(list(types.items()), metadata={"remarks": json.dumps(asdict(remarks))})
    table = pa.Table.from_pylist(rows, schema=schema)
    with suppress(OSError), atomic_path(remembered) as temporary:
        parquet.write_table(table, temporary, write_page_checksum=True)
    return table.to_pydict(), asdict(remarks)


def _find_images(path: str, remarks: Remarks) -> Iterator[dict[str, Any]]:
    """The samples of a shard. Members that cannot be read are counted and named."""
    images: dict[str, list[tuple[str, tarfile.TarInfo]]] = defaultdict(list)
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    size_bytes = os.path.getsize(path)
    with _open_tar(path) as tar:
        for member in _read_members(tar, path, remarks):
            full = escape_name(member.name.removeprefix("./"))
            folder, slash, name = full.rpartition("/")
            stem, suffix = os.path.splitext(name)
            if is_left_out(full.split("/")):
                remarks.leave_out("file (not part of the set)", full)
            elif not member.isfile():
                remarks.leave_out("member (no file)", full)
            elif suffix.lower() in image_suffixes():
                images[f"{folder}{slash}{name.partition('.')[0]}"].append((f"{folder}{slash}{stem}", member))
            elif suffix.lower() in (".cls", ".json"):
                _keep_label(tar, member, labels[f"{folder}{slash}{stem}"], suffix[1:].lower(), full, remarks)
            else:
                remarks.leave_out(name_left_out(suffix.lower()), full)
    used = set(images) | {stem for found in images.values() for stem, _ in found}
    for stem in sorted(labels.keys() - used):
        for kind in labels[stem]:
            remarks.leave_out(f".{kind} (of no image)", f"{stem}.{kind}")
    for group, found in images.items():
        stems = [stem for stem, _ in found]
        are_several = len(found) > 1
        if are_several and not (len(set(stems)) == len(stems) and all(labels.get(stem) for stem in stems)):
            first, second = (escape_name(member.name) for _, member in found[:2])
            raise ImageSetError(
                f"{escape_name(path)}: the sample {group} has two images, {first} and {second}; a sample has one, and "
                "its files share the name up to the first dot: rename or repack them"
            )
        for stem, member in found:
            own = labels.get(stem, {}) if are_several else {**labels.get(group, {}), **labels.get(stem, {})}
            place = {"offset": member.offset_data, "size": min(member.size, max(0, size_bytes - member.offset_data))}
            yield {"key": stem if are_several else group, **place, **own}


def _open_tar(path: str) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except (tarfile.TarError, OSError) as error:
        raise ImageSetError(
            f"{escape_name(path)} cannot be read at random ({error}); shards must be plain .tar files, not compressed"
        ) from error


def _read_members(tar: tarfile.TarFile, path: str, remarks: Remarks) -> Iterator[tarfile.TarInfo]:
    """The files of a shard, up to where it is damaged."""
    last = ""
    try:
        for member in tar:
            if not member.isdir():
                last = member.name
                yield member
        # `tarfile` takes a damaged head for the end; something else than zeros stands there then.
        with open(path, "rb") as file:
            file.seek(tar.offset)
            is_damaged = any(file.read(tarfile.BLOCKSIZE))
    except Exception:  # Besides its own errors, tarfile raises what numbers and texts in a damaged head lead to.
        is_damaged = True
    if is_damaged:
        remarks.add(f"is damaged or cut off behind {escape_name(last)}: what follows there is left out")


def _keep_label(
    tar: tarfile.TarFile, member: tarfile.TarInfo, kept: dict[str, str], kind: str, name: str, remarks: Remarks
) -> None:
    try:
        file = tar.extractfile(member)
        assert file is not None
        text = file.read().decode("utf-8-sig").strip()
        if kind == "json":
            json.loads(text)
        text.encode()
    except (ValueError, RecursionError, MemoryError, OverflowError, tarfile.TarError, OSError):
        remarks.leave_out(f".{kind} (cannot be read)", name)
    else:
        kept[kind] = text


def _number(
    columns: dict[str, list[Any]], options: dict[str, str], folder: Path, source: str, remarks: Remarks
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels and classes of all images."""
    field = options.get("label")
    records = [json.loads(text) if text else None for text in columns["json"]]
    values = [
        cls if field is None and cls is not None else record.get(field or "label") if isinstance(record, dict) else None
        for cls, record in zip(columns["cls"], records, strict=True)
    ]
    if field is not None and not any(value is not None for value in values):
        raise ImageSetError(f"{source}: no sample has a .json with the field {field!r}")
    file = Path(options["classes"]).expanduser() if "classes" in options else folder / CLASS_NAMES
    if "classes" in options and not file.exists():
        raise ImageSetError(f"{source}: {file} does not exist; it holds one class name a line")
    if not file.exists() or not any(value is not None for value in values):
        return number_labels(values, source, remarks)
    classes = tuple(name_class(line) for line in read_text(file).rstrip().splitlines())
    return check_labels(values, classes, source), classes

"""Image sets of Hugging Face `datasets`: on the hub, in local Parquet files or folders, or saved to disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.images.files.names import escape_name
from gpt4image.images.image_set import UNLABELLED, ImageSet, ImageStore, Stamp
from gpt4image.images.remarks import Remarks
from gpt4image.images.source_words import split_source
from gpt4image.images.tables.labels import check_labels, number_labels

FORM = "hf:NAME_OR_PATH[:SPLIT][?image=COLUMN&label=COLUMN&config=NAME&first=N]"
OPTIONS = ("image", "label", "config", "first")
LABEL_COLUMNS = ("label", "labels", "cls", "class", "category")
"""Where labels are looked for if none or several columns have the feature ClassLabel."""
PLAIN = ("string", "large_string", "bool", "int", "uint", "float")


class DatasetStore(ImageStore):
    """Images in one column of a `datasets.Dataset`: memory-mapped Arrow, read at random by row."""

    def __init__(self, dataset: Any, column: str) -> None:
        import datasets

        self.column, self.fingerprint = column, dataset._fingerprint
        self.dataset = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def read_bytes(self, position: int) -> bytes:
        value = self.dataset[position][self.column]
        if value is None or (value["bytes"] is None and not value["path"]):
            raise OSError("the row has no image")
        if value["bytes"] is not None:
            return value["bytes"]
        if not Path(value["path"]).is_file():
            raise OSError(f"{value['path']} is no file that is there")
        return Path(value["path"]).read_bytes()

    def stamp(self, position: int) -> Stamp | None:
        return f"hf:{self.fingerprint}/{self.column}#{position}", 0, 0, 0, 0


def open_hugging_face(source: str) -> ImageSet:
    """Opens a data set with an image column; see `FORM`.

    The key of an image is its split and row, such as `train/60`, or its `__key__`. Labels are those of the column
    with the feature ClassLabel, or of a column `label`; without one the images are unlabelled. Further columns of
    words and numbers are kept for prompts. `first=N` streams so many rows and keeps only these on this machine.

    Raises:
        ImageSetError: the data set cannot be had, lacks the split or column, or it is not clear which is meant.
    """
    word, options = split_source(source.partition(":")[2], OPTIONS, source, FORM)
    dataset, split = _load(word, options, source)
    images = _choose(options, "image", dataset.features, _image_columns(dataset.features), source)
    if images is None:
        raise ImageSetError(
            f"{source} has no image column, its columns are {', '.join(dataset.features)}; "
            "a column of images has the feature Image or the bytes of image files"
        )
    label = _choose(options, "label", dataset.features, _label_columns(dataset.features), source)
    kinds = {name: str(getattr(feature, "dtype", "")) for name, feature in dataset.features.items()}
    plain = [name for name, kind in kinds.items() if name not in (images, label) and kind.startswith(PLAIN)]
    table = dataset.select_columns(plain).with_format("arrow")[:].to_pydict() if plain else {}
    keys = [f"{split}/{row}" for row in range(len(dataset))]
    own_keys = table.pop("__key__", [])
    if len(set(own_keys)) == len(keys):
        keys = [escape_name(str(key)) for key in own_keys]
    remarks = Remarks()
    labels, classes = _read_labels(dataset, label, source, remarks)
    return ImageSet(source, keys, labels, classes, DatasetStore(dataset, images), np.arange(len(keys)), table, remarks)


def _load(word: str, options: dict[str, str], source: str) -> tuple[Any, str]:
    """The data set of one split, and the split's name."""
    try:
        import datasets
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ImageSetError(f"{source} needs the package datasets; pip install 'gpt4image[datasets]'") from error
    name, split = (word, "") if Path(word).expanduser().exists() or ":" not in word else word.rsplit(":", 1)
    try:
        return _take(_load_all(name, options), split, options.get("first"), source)
    except (OSError, ValueError, HfHubHTTPError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ImageSetError(
            f"{source} cannot be loaded ({reason}); give a local path, a name on the hub that this machine can reach "
            f"(HF_HUB_OFFLINE not set), as {FORM}"
        ) from error


def _load_all(name: str, options: dict[str, str]) -> Any:
    from datasets import load_dataset, load_from_disk

    path = Path(name).expanduser()
    if any((path / file).exists() for file in ("dataset_dict.json", "state.json")):
        return load_from_disk(str(path))
    streaming = "first" in options
    if path.suffix == ".parquet":
        return load_dataset("parquet", data_files=str(path), streaming=streaming)
    return load_dataset(str(path) if path.exists() else name, options.get("config"), streaming=streaming)


def _take(loaded: Any, split: str, first: str | None, source: str) -> tuple[Any, str]:
    from datasets import Dataset, DatasetDict, IterableDatasetDict

    if not isinstance(loaded, (DatasetDict, IterableDatasetDict)):
        return loaded, split or str(loaded.split or "train")
    if split not in loaded and (split or len(loaded) > 1):
        wrong = f"has no split {split!r}" if split else "has several splits"
        raise ImageSetError(f"{source} {wrong}; choose from {', '.join(loaded)}, as hf:NAME_OR_PATH:SPLIT")
    split = split or next(iter(loaded))
    if first is None:
        return loaded[split], split
    if not first.isdecimal() or first == "0":
        raise ImageSetError(f"{source}: first={first} is no number of rows; write such as first=10000")
    part = loaded[split].take(int(first))
    features = part.features or part._resolve_features().features
    undecoded = part.decode(False)
    return Dataset.from_generator(_read_stream, features=features, gen_kwargs={"rows": undecoded}, split=split), split


def _read_stream(rows: Any) -> Iterator[Any]:
    yield from rows


def _image_columns(features: Any) -> list[str]:
    import datasets

    marked = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    return marked or [name for name, feature in features.items() if _holds_bytes(feature)]


def _holds_bytes(feature: Any) -> bool:
    """Whether a column may hold image files, though nobody says so: plain Parquet knows no images."""
    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return getattr(feature, "dtype", "") in ("binary", "large_binary")


def _label_columns(features: Any) -> list[str]:
    import datasets

    marked = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    named = [name for name in LABEL_COLUMNS if name in features and (not marked or name in marked)]
    return named[:1] or marked


def _choose(
    options: dict[str, str], what: str, features: Sequence[str], found: Sequence[str], source: str
) -> str | None:
    """The column that is named, or the one that there is; None if there is none."""
    named = options.get(what)
    if named is not None and named not in features:
        raise ImageSetError(f"{source} has no column {named!r}; its columns are {', '.join(features)}")
    if named is None and len(found) > 1:
        raise ImageSetError(f"{source} has several {what} columns; choose with ?{what}={' or '.join(found)}")
    return named or next(iter(found), None)


def _read_labels(dataset: Any, column: str | None, source: str, remarks: Remarks) -> tuple[np.ndarray, tuple[str, ...]]:
    if column is None:
        columns = ", ".join(dataset.features)
        remarks.add(f"there is no column of labels: its images are unlabelled; its columns are {columns}")
        return np.full(len(dataset), UNLABELLED, dtype=np.int64), ()
    values = dataset.select_columns([column]).with_format("arrow")[:][column].to_pylist()
    names = getattr(dataset.features[column], "names", None)
    return (check_labels(values, names, source), tuple(names)) if names else number_labels(values, source, remarks)

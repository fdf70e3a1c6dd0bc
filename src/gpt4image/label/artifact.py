"""`WORK/labels/NAME/`: what each image most probably is, for people, for training and for any other program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import LabelError
from gpt4image.files import atomic_path, read_json, reading, write_json
from gpt4image.images import UNLABELLED

ROWS = "labels.parquet"
FORMAT = 8
"""Raised when columns or the way of weighing change, so that labels are made anew."""
MANIFEST = "manifest.json"
KINDS: dict[str, Any] = {"classes": list, "source": str, "states": dict, "reliability": dict, "inputs": dict}


@dataclass(frozen=True)
class Opinions:
    """What one witness alone thinks.

    Attributes:
        classes: int64 [N], its class, -1 where it has no opinion.
        probabilities: float32 [N], how sure it is, as far as it deserves.
    """

    classes: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class LabelTable:
    """Weighed labels of an image set.

    Attributes:
        folder: where they lie.
        manifest: classes, situation, witnesses, what was estimated of each, hash of all inputs.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, work: Path, name: str) -> "LabelTable":
        """Opens the labels of that name.

        Raises:
            LabelError: there are none.
        """
        folder = labels_folder(work, name)
        if not (folder / MANIFEST).exists():
            names = sorted(path.parent.name for path in folder.parent.glob(f"*/{MANIFEST}"))
            hint = f"there are {', '.join(names)}" if names else f"make them: gpt4image label IMAGES {work}"
            raise LabelError(f"{folder} holds no labels; {hint}")
        with reading(folder / MANIFEST):
            return cls(folder, check_facts(read_json(folder / MANIFEST)))

    def is_whole(self) -> bool:
        """Whether the rows can be read, as far as that is quickly told."""
        from pyarrow import parquet

        try:
            return bool(parquet.read_table(self.folder / ROWS, columns=["key"]).num_rows == len(self))
        except (OSError, ValueError):
            return False

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their numbers."""
        return tuple(self.manifest["classes"])

    @cached_property
    def rows(self) -> Any:
        """pyarrow Table, one row an image; the columns are those of docs/labels.md."""
        from pyarrow import parquet

        with reading(self.folder / ROWS):
            return parquet.read_table(self.folder / ROWS)

    def __len__(self) -> int:
        return int(self.manifest["num_images"])

    def find(self, keys: Sequence[str], digests: Sequence[str]) -> np.ndarray:
        """int64 [N], the row of each image.

        Raises:
            LabelError: an image is not among the labels, or has changed since.
        """
        position = {key: row for row, key in enumerate(self.rows["key"].to_pylist())}
        rows = np.array([position.get(key, -1) for key in keys], dtype=np.int64)
        known = np.asarray(self.rows["digest"].to_pylist())
        wrong = np.flatnonzero((rows < 0) | (known[rows] != np.asarray(digests)))
        if len(wrong):
            raise LabelError(
                f"{self.folder} is of other images: {len(wrong)} of {len(keys)} have no label there or have changed "
                f"(such as {keys[wrong[0]]}); give the label command again"
            )
        return rows

    def numbers(self, column: str) -> np.ndarray:
        """int64 [M], the classes that stand in a column, as numbers; -1 where there is none."""
        position = {name: number for number, name in enumerate(self.classes)}
        return np.array([position.get(name, UNLABELLED) for name in self.rows[column].to_pylist()], dtype=np.int64)

    @cached_property
    def sparse(self) -> tuple[np.ndarray, np.ndarray]:
        """The most probable classes, int64 [M, K], and their probabilities, float32 [M, K]."""
        classes = np.stack(self.rows["classes"].to_numpy()).astype(np.int64)
        return classes, np.stack(self.rows["probabilities"].to_numpy()).astype(np.float32)

    @property
    def told(self) -> np.ndarray | None:
        """float32 [M, K], what the picks alone say of the same classes; zero rows without a pick, None if none has."""
        if "told" not in self.rows.column_names:
            return None
        return np.stack(self.rows["told"].to_numpy()).astype(np.float32)


def check_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """What stands in a manifest, if it is of the right kind.

    Raises:
        TypeError: something is not.
        KeyError: the classes are missing.
    """
    for name, kind in KINDS.items():
        if not isinstance(facts.get(name, kind()), kind):
            raise TypeError(f"{name} is {str(facts[name])[:80]}")
    return facts | {"classes": facts["classes"]}


def labels_folder(work: Path, name: str) -> Path:
    """Where labels of that name lie."""
    return work / "labels" / name


def save_labels(
    folder: Path, columns: Mapping[str, Any], opinions: Mapping[str, Opinions], manifest: Mapping[str, Any]
) -> LabelTable:
    """Writes labels; the manifest comes last.

    Args:
        folder: is replaced.
        columns: key, digest, given, proposed, state, confidence, none, doubt, classes, probabilities; told with picks.
        opinions: of each witness by its name.
        manifest: `classes` among it.
    """
    import pyarrow as pa
    from pyarrow import parquet

    names = np.array([*manifest["classes"], None], dtype=object)
    arrays = {name: pa.array(values) for name, values in columns.items()}
    for witness, opinion in opinions.items():
        arrays[witness] = pa.array(names[opinion.classes].tolist(), pa.string())
        has = opinion.classes != UNLABELLED
        arrays[f"{witness} sure"] = pa.array(np.where(has, opinion.probabilities, np.nan).astype(np.float32))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    with atomic_path(folder / ROWS) as temporary:
        parquet.write_table(pa.table(arrays), temporary)
    facts = {**manifest, "num_images": len(arrays["key"]), "witnesses": list(opinions)}
    write_json(folder / MANIFEST, facts)
    return LabelTable(folder, facts)

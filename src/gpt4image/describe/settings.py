"""The settings of the describe stage."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DescribeSettings:
    """Writes a description of every image into WORK/descriptions.sqlite.

    Attributes:
        images: a folder (one sub-folder a class), a list FILE.csv|.parquet|.jsonl, or fashion-mnist:train|test|1k.
        work: the work folder; descriptions already there are kept.
        describer: what writes descriptions; replay takes them from --file.
        file: replay: JSON lines, CSV or Parquet; a row names its image by digest, key, path, file_name, image or index.
        field: replay: columns that hold descriptions; each becomes the prompt of its name.
    """

    images: str
    work: Path
    describer: str = "replay"
    file: Path | None = None
    field: tuple[str, ...] = ("description",)

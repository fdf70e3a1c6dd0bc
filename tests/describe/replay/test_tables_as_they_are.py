"""Captions as other programs leave them: what is written is about the right image, or said."""

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gpt4image import progress
from gpt4image.describe import DescribeSettings, describe
from gpt4image.describe.exchange.import_stage import ImportSettings, import_descriptions
from gpt4image.errors import DescriptionError
from gpt4image.results import ExitStatus

ImageFolder = Callable[..., Path]
FIRST, SECOND = "cat/0000.jpg", "dog/0001.jpg"


def replay(folder: Path, file: Path, field: str = "caption"):
    return describe(DescribeSettings(str(folder), file.parent / "work", describer="replay", file=file, field=(field,)))


def stored(work: Path) -> dict[str, str]:
    with closing(sqlite3.connect(work / "descriptions.sqlite")) as connection:
        return dict(connection.execute("SELECT key, text FROM descriptions JOIN images USING (digest)"))


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_an_image_column_of_plain_bytes_is_matched(image_folder: ImageFolder, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = image_folder(2)
    photos = sorted(folder.rglob("*.jpg"))
    table = pa.table({"image": [photo.read_bytes() for photo in photos], "caption": ["a", "b"]})
    pq.write_table(table, tmp_path / "c.parquet")
    assert replay(folder, tmp_path / "c.parquet").new == 2


@pytest.mark.parametrize("missing", [float("nan"), None, "", "NaN"])
def test_a_gap_in_one_column_does_not_hide_the_next(image_folder: ImageFolder, tmp_path: Path, missing: object) -> None:
    folder, file = image_folder(2), tmp_path / "c.jsonl"
    file.write_text(json.dumps({"digest": missing, "path": FIRST, "caption": "a"}))
    assert replay(folder, file).new == 1


@pytest.mark.parametrize("gap", ["null", "NULL", "N/A", "#N/A", "<NA>", "nan"])
def test_words_for_a_gap_are_no_text(image_folder: ImageFolder, tmp_path: Path, gap: str) -> None:
    file = write_csv(tmp_path / "c.csv", [["path", "caption"], [FIRST, gap], [SECOND, "b"]])
    result = replay(image_folder(2), file)
    assert (result.new, result.notes[0]) == (1, f"1 rows of {file} have no text")
    assert result.notes[1] == f"1 image has no text in {file}, such as {FIRST}"


def test_rows_of_separators_alone_are_no_rows(image_folder: ImageFolder, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "c.csv", [["path", "caption"], [FIRST, "a"], [SECOND, "b"], ["", ""]])
    result = replay(image_folder(2), file)
    assert (result.new, result.notes) == (2, ())


def test_progress_counts_images_and_not_their_rows(
    image_folder: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    advance = progress.Tracker.advance

    def count(self: progress.Tracker, steps: int = 1) -> None:
        counted.append(steps)
        advance(self, steps)

    monkeypatch.setattr(progress.Tracker, "advance", count)
    folder = image_folder(2)
    rows = [[key, f"text {row}"] for key in (FIRST, SECOND) for row in range(5)]
    file = write_csv(tmp_path / "c.csv", [["path", "caption"], *rows])
    describe(DescribeSettings(str(folder), tmp_path / "work", describer="replay", file=file, field=("caption",)))
    assert sum(counted) == 2 + 2  # Read, and described.


def test_a_row_about_no_image_is_named(image_folder: ImageFolder, tmp_path: Path) -> None:
    rows = [["path", "caption"], [FIRST, "a"], ["dog/7.jpg", "b"]]
    file = write_csv(tmp_path / "c.csv", rows)
    note = replay(image_folder(2), file).notes[0]
    assert note == f"1 rows of {file} are about other images, such as line 3 (path dog/7.jpg)"


def test_side_cars_may_be_called_caption(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder(2)
    (folder / "cat" / "0000.caption").write_text("a")
    taken = import_descriptions(ImportSettings(tmp_path / "work", folder, images=str(folder)))
    assert taken.written == 1
    assert stored(tmp_path / "work") == {FIRST: "a"}


def test_texts_of_images_that_cannot_be_read_are_left_out_and_counted(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder(2)
    (folder / SECOND).write_bytes(b"no image")
    rows = [["path", "caption"], [FIRST, "a"], [SECOND, "b"]]
    file = write_csv(tmp_path / "c.csv", rows)
    taken = import_descriptions(ImportSettings(tmp_path / "work", file, images=str(folder), field=("caption",)))
    assert (taken.written, taken.unreadable, taken.exit_status) == (1, 1, ExitStatus.PARTLY)
    assert stored(tmp_path / "work") == {FIRST: "a"}


def test_a_file_that_has_texts_in_another_column_says_so(image_folder: ImageFolder, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "c.csv", [["path", "caption"], [FIRST, "a"]])
    settings = ImportSettings(tmp_path / "work", file, images=str(image_folder(2)), field=("words",))
    with pytest.raises(DescriptionError, match=r"no text in words, in 1 rows about these images; choose the column"):
        import_descriptions(settings)

"""Lists are read whole, or refused with the line that is wrong."""

import csv
import json
import re
from pathlib import Path

import pytest

from gpt4image.errors import ImageSetError
from gpt4image.images.tables.columns import read_columns

TEXTS = ["plain", "with, comma", 'with "quotes"', "two\nlines", "", "é – 猫", " spaces ", "x" * 200_000, "two\r\nlines"]


def write_csv(path: Path, encoding: str = "utf-8", delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["path", "text"])
        writer.writerows([f"{number}.jpg", text] for number, text in enumerate(TEXTS))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_as_programs_write_it(tmp_path: Path, encoding: str, delimiter: str) -> None:
    write_csv(tmp_path / "list.csv", encoding, delimiter)
    assert read_columns(tmp_path / "list.csv") == {
        "path": [f"{number}.jpg" for number in range(len(TEXTS))],
        "text": TEXTS,
    }


def test_a_long_list_with_line_breaks_in_its_texts(tmp_path: Path) -> None:
    text = "".join(f'{number}.jpg,"line one of {number}\n{"and so on " * 50}"\n' for number in range(6000))
    (tmp_path / "list.csv").write_text(f"path,text\n{text}")
    columns = read_columns(tmp_path / "list.csv")
    assert len(columns["text"]) == 6000
    assert columns["text"][-1].startswith("line one of 5999\nand so on")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "list.csv is empty; its first line names the columns"),
        (b"path,label,path\n", "two columns 'path' (path, label, path); rename or remove one"),
        (b"path, label ,label\n", "two columns 'label' (path, label, label)"),
        (b"path,text\na.jpg,x, y\n", "list.csv, line 2 has 3 fields, but the header has 2 (path, text)"),
        (b'path,text\na.jpg,"x\ny"\nb.jpg\n', "list.csv, line 4 has 1 fields, but the header has 2"),
        (b'path,text\na.jpg,ok\nb.jpg,"a "stray" quote"\n', "list.csv, line 3: "),
        (b'path,text\na.jpg,"never closed\nb.jpg,x\n', "list.csv, line 2: unexpected end of data; a quote within"),
        (b"path,text\na.jpg,ok\nb.jpg,caf\xe9\n", "list.csv, line 3 is not in UTF-8; save the file as UTF-8"),
        ("path,text\na.jpg,x\n".encode("utf-16-le"), "as in UTF-16 without its mark; save the file as UTF-8"),
    ],
)
def test_csv_that_is_wrong_is_refused_with_its_line(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "list.csv").write_bytes(data)
    with pytest.raises(ImageSetError, match=re.escape(words)):
        read_columns(tmp_path / "list.csv")


def test_blank_lines_trailing_commas_and_a_column_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(",path,text\n\n0,a.jpg,x,,\n\n1,b.jpg,y\n")
    assert read_columns(tmp_path / "list.csv") == {"path": ["a.jpg", "b.jpg"], "text": ["x", "y"]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is no JSON"),
        ("[1]", r"line 2 is no JSON object; each line must be one, \{\.\.\.\}"),
        ('{"path": 1, "path": 2}', "line 2 is no JSON: a name stands twice among path, path"),
        ("[" * 100_000, "line 2 is no JSON"),
    ],
)
def test_json_lines_that_are_wrong(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "list.jsonl").write_text('{"path": "a.jpg"}\n' + line + "\n")
    with pytest.raises(ImageSetError, match=words):
        read_columns(tmp_path / "list.jsonl")


def test_json_lines_of_different_columns_and_kinds(tmp_path: Path) -> None:
    rows = [{"path": "a.jpg", "n": 1}, {"path": "b.jpg", "n": "one", "line": "a\u2028b"}]
    (tmp_path / "list.jsonl").write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\r\n")
    assert read_columns(tmp_path / "list.jsonl") == {
        "path": ["a.jpg", "b.jpg"],
        "n": [1, "one"],
        "line": [None, "a\u2028b"],
    }


def test_damaged_parquet_is_one_line(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"path": ["a.jpg"] * 99}), tmp_path / "list.parquet")
    whole = (tmp_path / "list.parquet").read_bytes()
    for data in (b"", whole[:-5], whole[: len(whole) // 2], b"PAR1" + bytes(80) + b"PAR1"):
        (tmp_path / "list.parquet").write_bytes(data)
        with pytest.raises(ImageSetError, match=r"cannot be read as parquet: .+"):
            read_columns(tmp_path / "list.parquet")

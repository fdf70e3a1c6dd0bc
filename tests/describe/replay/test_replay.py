import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from gpt4image.describe import DescribeSettings, DescriptionStore, State, describe, emit_requests, plan_descriptions
from gpt4image.errors import DescriptionError, SettingsError
from gpt4image.results import ExitStatus

ImageFolder = Callable[..., Path]
SHIPPED = Path(__file__).parents[3] / "src/gpt4image/demo/descriptions.jsonl"


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def texts_by_key(work: Path, prompt: str = "description") -> dict[str, str]:
    with DescriptionStore.open(work) as store:
        keys = {image.digest: image.key for image in store.images()}
        return {keys[d.digest]: d.text for d in store.ok_descriptions(prompt)}


def test_rows_are_matched_by_key_path_and_suffix(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder(4)
    rows = [
        {"key": "cat/0000.jpg", "description": "by key"},
        {"path": "images/dog/0001.jpg", "description": "by path"},
        {"file_name": "0002.jpg", "description": "by suffix"},
        {"image": "/elsewhere/images/dog/0003.jpg", "description": "by longer path"},
        {"path": "dog/none.jpg", "description": "another image"},
        {"path": "cat/0000.jpg"},
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    result = describe(DescribeSettings(str(folder), tmp_path / "work", describer="replay", file=file))
    assert (result.new, result.kept, result.exit_status) == (4, 0, ExitStatus.DONE)
    assert "1 rows of" in result.notes[0]
    assert texts_by_key(tmp_path / "work") == {
        "cat/0000.jpg": "by key",
        "dog/0001.jpg": "by path",
        "cat/0002.jpg": "by suffix",
        "dog/0003.jpg": "by longer path",
    }


def test_a_limit_takes_the_same_images_as_when_an_endpoint_is_asked(image_folder: ImageFolder, tmp_path: Path) -> None:
    from gpt4image.describe.asking.selection import select_images
    from gpt4image.images import open_images, scan_images

    images = open_images(str(image_folder(8)))
    file = write_rows(tmp_path / "rows.jsonl", [{"key": key, "description": f"text of {key}"} for key in images.keys])
    settings = DescribeSettings(images.source, tmp_path / "work", describer="replay", file=file, limit=4)
    result = describe(settings)
    assert (result.new, result.notes) == (4, (f"4 rows of {file} are about images that --limit leaves out",))
    chosen = [images.keys[index] for index in select_images(images, scan_images(images), 4)]
    assert texts_by_key(tmp_path / "work") == {key: f"text of {key}" for key in chosen}
    again = describe(replace(settings, limit=None))
    assert (again.kept, again.new, again.notes) == (4, 4, ())


def test_a_row_about_a_file_that_is_none_of_the_images_matches_none_of_them(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    """Photos of a camera are often named alike in every folder."""
    folder = image_folder(2)
    for name in ("mine", "others"):
        (tmp_path / name).mkdir()
        for number, photo in enumerate(sorted(folder.rglob("*.jpg"))):
            copy = tmp_path / name / f"IMG_{number}.jpg"
            copy.write_bytes(photo.read_bytes() + name.encode())
    rows = [
        {"path": f"{name}/IMG_{number}.jpg", "description": name} for name in ("mine", "others") for number in (0, 1)
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    result = describe(DescribeSettings(str(tmp_path / "mine"), tmp_path / "work", describer="replay", file=file))
    assert "2 rows of" in result.notes[0]
    assert texts_by_key(tmp_path / "work") == {"IMG_0.jpg": "mine", "IMG_1.jpg": "mine"}


def test_two_folders_that_look_the_same_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    names = ("caf\u00e9", "cafe\u0301")
    for number, name in enumerate(names):
        (tmp_path / "mine" / name).mkdir(parents=True)
        Image.new("RGB", (16, 16), (90 * number, 60, 60)).save(tmp_path / "mine" / name / "0.png")
    images = tmp_path / "list.csv"
    images.write_text("path\n" + "".join(f"mine/{name}/0.png\n" for name in names), encoding="utf-8")
    rows = [{"path": f"{name}/0.png", "description": f"text of {name}"} for name in names]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    describe(DescribeSettings(str(images), tmp_path / "work", describer="replay", file=file))
    assert texts_by_key(tmp_path / "work") == {f"mine/{name}/0.png": f"text of {name}" for name in names}


def test_shipped_descriptions_match_by_index_and_a_second_field_is_a_second_prompt(tmp_path: Path) -> None:
    settings = DescribeSettings(
        "fashion-mnist:1k", tmp_path, describer="replay", file=SHIPPED, field=("description", "attributes")
    )
    assert describe(settings).states == {
        "description": {State.OK: 1000},
        "attributes": {State.OK: 1000},
    }
    first = json.loads(SHIPPED.read_text(encoding="utf-8").splitlines()[0])
    assert texts_by_key(tmp_path, "attributes")[f"train/{first['index']}"] == first["attributes"]
    again = describe(settings)
    assert (again.kept, again.new, again.redone) == (2000, 0, 0)


def test_a_changed_text_is_redone_alone(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder(2)
    rows = [{"key": "cat/0000.jpg", "description": "old"}, {"key": "dog/0001.jpg", "description": "same"}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    describe(DescribeSettings(str(folder), tmp_path / "work", describer="replay", file=file))
    rows[0]["description"] = "new"
    write_rows(file, rows)
    result = describe(DescribeSettings(str(folder), tmp_path / "work", describer="replay", file=file))
    assert (result.kept, result.new, result.redone) == (1, 0, 1)
    assert texts_by_key(tmp_path / "work")["cat/0000.jpg"] == "new"


def test_csv_and_texts_that_are_no_descriptions(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder(3)
    file = tmp_path / "rows.csv"
    file.write_text(
        'path,text\ncat/0000.jpg,"A cat, asleep"\ndog/0001.jpg,"I\'m sorry, but I can\'t help with that."\n'
        "cat/0002.jpg,!!!!!!\n"
    )
    result = describe(DescribeSettings(str(folder), tmp_path / "work", describer="replay", file=file, field=("text",)))
    assert result.states == {"text": {State.OK: 1, State.EMPTY: 1, State.REFUSED: 1}}
    assert result.exit_status == ExitStatus.PARTLY


def test_unreadable_images_are_recorded_and_shift_nothing(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder(4)
    whole = (folder / "cat/0000.jpg").read_bytes()
    (folder / "cat/0000.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "dog/text.jpg").write_text("no image")
    rows = [{"path": f"images/{p.relative_to(folder)}", "description": p.name} for p in folder.rglob("*.jpg")]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    result = describe(DescribeSettings(str(folder), tmp_path / "work", describer="replay", file=file))
    assert result.states == {"description": {State.OK: 3, State.UNREADABLE_IMAGE: 2}}
    assert set(result.unreadable) == {"cat/0000.jpg", "dog/text.jpg"}
    assert result.exit_status == ExitStatus.PARTLY
    assert texts_by_key(tmp_path / "work") == {k: k[-8:] for k in ("dog/0001.jpg", "cat/0002.jpg", "dog/0003.jpg")}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"path": "a.jpg", "description": "x"}', r"describes none of the images of .* keys such as 'cat/0000.jpg'"),
        ('{"key": "cat/0000.jpg", "caption": "x"}', r"no text in 'description'; its fields are key, caption"),
        ("", "has no rows"),
        ('{"key": "cat/0000.jpg",', "line 1 is no JSON"),
        ("[1]", "line 1 is no JSON object"),
    ],
)
def test_useless_files_are_refused(image_folder: ImageFolder, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    settings = DescribeSettings(
        str(image_folder(1)), tmp_path / "work", describer="replay", file=tmp_path / "rows.jsonl"
    )
    with pytest.raises(DescriptionError, match=words):
        describe(settings)


def test_missing_file_and_unknown_form_are_refused(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = str(image_folder(1))
    with pytest.raises(DescriptionError, match="does not exist; give the file"):
        describe(DescribeSettings(folder, tmp_path / "work", describer="replay", file=tmp_path / "none.jsonl"))
    (tmp_path / "rows.xml").write_text("<x/>")
    with pytest.raises(DescriptionError, match=r"must end in \.jsonl, \.csv, \.parquet"):
        describe(DescribeSettings(folder, tmp_path / "work", describer="replay", file=tmp_path / "rows.xml"))
    with pytest.raises(SettingsError, match="needs --file"):
        describe(DescribeSettings(folder, tmp_path / "work", describer="replay"))


def test_a_replay_cannot_be_planned_or_emitted(image_folder: ImageFolder, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"key": "cat/0000.jpg", "description": "x"}])
    settings = DescribeSettings(
        str(image_folder(1)), tmp_path / "work", describer="replay", file=file, emit_batch=tmp_path / "batch.jsonl"
    )
    with pytest.raises(SettingsError, match="--plan is for describers that are asked; --describer replay"):
        plan_descriptions(replace(settings, emit_batch=None))
    with pytest.raises(SettingsError, match=r"--emit-batch .*batch.jsonl needs --describer endpoint and a file"):
        emit_requests(settings)


def test_help_and_imports_do_not_load_torch() -> None:
    code = (
        "import sys; from gpt4image.cli import main; from gpt4image.describe import DescribeSettings, describe\n"
        "try: main(['describe', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

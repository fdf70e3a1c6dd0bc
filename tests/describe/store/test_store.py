import sqlite3
from pathlib import Path

import pytest

from gpt4image.describe import DescribedImage, Description, DescriptionStore, State
from gpt4image.errors import DescriptionError


def test_missing_store_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"does not exist; write descriptions first: gpt4image describe"):
        DescriptionStore.open(tmp_path)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "descriptions.sqlite").write_text("not a database, but long enough to look like a file")
    with pytest.raises(DescriptionError, match="is no store of descriptions"):
        DescriptionStore.open(tmp_path)


def test_store_of_another_version_is_refused(tmp_path: Path) -> None:
    DescriptionStore.open(tmp_path, create=True).__exit__(None, None, None)
    with sqlite3.connect(tmp_path / "descriptions.sqlite") as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(DescriptionError, match="has the form 99, this gpt4image writes 1"):
        DescriptionStore.open(tmp_path)


def test_only_ok_descriptions_come_back_ordered(tmp_path: Path) -> None:
    with DescriptionStore.open(tmp_path, create=True) as store:
        store.write(
            [
                Description("b", "p", "m", text="second"),
                Description("a", "q", "m", text="other prompt"),
                Description("a", "p", "m", sample=1, text="another sample"),
                Description("a", "p", "m", text="first"),
                Description("c", "p", "m", state=State.REFUSED, text="Sorry"),
            ]
        )
        found = [(d.digest, d.prompt, d.sample, d.text) for d in store.ok_descriptions()]
        assert found == [
            ("a", "p", 0, "first"),
            ("a", "p", 1, "another sample"),
            ("a", "q", 0, "other prompt"),
            ("b", "p", 0, "second"),
        ]
        assert [d.text for d in store.ok_descriptions(prompt="q")] == ["other prompt"]
        assert [d.text for d in store.ok_descriptions(describer="nobody")] == []
        assert store.prompts() == {"p": 3, "q": 1}
        assert store.counts() == {State.OK: 4, State.REFUSED: 1}
        assert store.counts(prompt="q") == {State.OK: 1}


def test_writing_again_replaces(tmp_path: Path) -> None:
    with DescriptionStore.open(tmp_path, create=True) as store:
        store.write([Description("a", "p", "m", state=State.TRUNCATED, text="half")])
        store.write([Description("a", "p", "m", text="whole", tokens_in=7)])
        (found,) = store.descriptions()
        assert (found.text, found.state, found.tokens_in) == ("whole", State.OK, 7)


def test_an_image_keeps_one_row_under_its_latest_name(tmp_path: Path) -> None:
    with DescriptionStore.open(tmp_path, create=True) as store:
        store.write_images([DescribedImage("a", "cat/1.jpg", "cat"), DescribedImage("b", "2.jpg", None)])
        store.write_images([DescribedImage("a", "cats/1.jpg", "cats")])
        assert list(store.images()) == [("a", "cats/1.jpg", "cats"), ("b", "2.jpg", None)]

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpt4image.describe import DescribeSettings, DescriptionStore, State, describe
from gpt4image.describe.prompts.parse import parse_prompts
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.prompts.presets import PRESETS
from gpt4image.errors import SettingsError
from gpt4image.images import open_images

Make = Callable[..., Path]
FROZEN = "0b65e8c5"
"""Short hash of all presets: stored descriptions refer to these wordings, so they may only be added to."""


def test_preset_wordings_are_frozen() -> None:
    first = json.dumps({name: versions[0] for name, versions in sorted(PRESETS.items())})
    assert hashlib.sha256(first.encode()).hexdigest()[:8] == FROZEN, "append a version, do not change one"


def test_presets_own_words_and_named_words() -> None:
    prompts = parse_prompts(["detailed", "tags@1", "What is it?", "short=Name it: {class}"])
    assert [prompt.name for prompt in prompts[:2]] == ["detailed@1", "tags@1"]
    assert prompts[0].template == "Describe this image in detail."
    assert prompts[2].name.startswith("own-")
    assert (prompts[3].name, prompts[3].template, prompts[3].places) == ("short", "Name it: {class}", {"class"})
    with_schema = parse_prompts(["tags"], {"type": "object"})[0]
    assert with_schema.name.startswith("tags@1+")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["detaild"], "--prompt detaild is no preset; choose from detailed"),
        (["detailed@9"], "detailed@9 is no preset"),
        (["What is {this"], "has a brace that is no place"),
        (["What is {0}"], "has a brace that is no place"),
        (["tags", "tags@1"], "give at least one prompt, each once"),
        ([], "give at least one prompt"),
    ],
)
def test_mistakes_are_one_clear_line(words: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_prompts(words)


def test_places_are_filled_from_classes_names_and_columns(image_folder: Make, tmp_path: Path) -> None:
    folder = image_folder(2)
    rows = "path,label,place\nimages/cat/0000.jpg,big_cat,garden\nimages/dog/0001.jpg,dog,\n"
    (tmp_path / "list.csv").write_text(rows)
    images = open_images(str(tmp_path / "list.csv"))
    (prompt,) = parse_prompts(["A {class} of {classes} in the {place} {{!}}"])
    assert Places(images).render(prompt, 0) == "A big cat of big cat, dog in the garden {!}"
    assert Places(images, {"dog": "hound"}).render(prompt, 1) == "A hound of big cat, hound in the  {!}"
    with pytest.raises(SettingsError, match=r"has the place \{place\}; these images have \{class\}, \{classes\}"):
        Places(open_images(str(folder))).check([prompt])
    (folder / "_unlabelled").mkdir()
    (folder / "cat/0000.jpg").rename(folder / "_unlabelled/0000.jpg")
    with pytest.raises(SettingsError, match=r"1 images of .* have none; label them"):
        Places(open_images(str(folder))).check(parse_prompts(["class_detailed"]))


def test_a_name_stands_for_one_wording_only(chat_server, image_folder: Make, tmp_path: Path) -> None:
    url, folder = chat_server().url, str(image_folder(2))
    describe(DescribeSettings(folder, tmp_path / "w", endpoint=(url,), model="m", prompt=("short=Name it",)))
    with pytest.raises(SettingsError, match=r"--prompt short stands for another wording .*'Name it'"):
        describe(DescribeSettings(folder, tmp_path / "w", endpoint=(url,), model="m", prompt=("short=Name this",)))


def test_a_schema_is_sent_and_an_answer_without_json_is_no_description(
    chat_server, image_folder: Make, tmp_path: Path
) -> None:
    server = chat_server()
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    settings = DescribeSettings(
        str(image_folder(2)), tmp_path / "w", endpoint=(server.url,), model="m", schema=tmp_path / "schema.json"
    )
    describe(settings)
    sent = server.counts()["last_request"]["body"]["response_format"]["json_schema"]
    assert sent["schema"] == schema
    with DescriptionStore.open(tmp_path / "w") as store:
        assert {(row.state, row.error) for row in store.descriptions()} == {
            (State.EMPTY, "the answer is not the JSON asked for")
        }

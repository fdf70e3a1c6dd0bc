from pathlib import Path

import pytest

from gpt4image.describe import DescribedImage, DescribeSettings, Description, DescriptionStore, State, describe
from gpt4image.describe.lint.duplicates import find_groups
from gpt4image.describe.lint.language import detect_language
from gpt4image.describe.lint.leakage import class_pattern
from gpt4image.describe.lint.openings import strip_boilerplate
from gpt4image.describe.lint.stage import LintSettings, lint
from gpt4image.errors import DescriptionError, SettingsError

SHIPPED = Path(__file__).parents[2] / "src/gpt4image/demo/descriptions.jsonl"
TEXTS = [
    ("cat/1.jpg", "cat", "The image shows a grey cat asleep on a red sofa."),
    ("cat/2.jpg", "cat", "The image shows a striped animal with long whiskers, green eyes and a white chest."),
    ("cat/3.jpg", "cat", "A striped animal with long whiskers, green eyes and a white chest."),
    ("cat/4.jpg", "cat", "Ein graues Tier liegt mit dem Kopf auf der Decke und schläft in der Sonne."),
    ("dog/1.jpg", "dog", "A brown dog that runs over the lawn in the sun."),
    ("dog/2.jpg", "dog", "A cat with a long tongue."),
    ("dog/3.jpg", "dog", "As an AI, I cannot see the picture."),
    ("dog/4.jpg", "dog", None),
]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    with DescriptionStore.open(tmp_path, create=True) as store:
        store.write_images(DescribedImage(key, key, name) for key, name, _ in TEXTS)
        store.write(Description(key, "p", "m", text=text) for key, _, text in TEXTS if text)
        store.write([Description("dog/4.jpg", "p", "m", state=State.REFUSED)])
    return tmp_path


def test_each_check_finds_what_was_put_there(work: Path) -> None:
    result = lint(LintSettings(work))
    found = {finding.check: finding for finding in result.findings}
    assert result.descriptions == 7
    assert {name: finding.count for name, finding in found.items()} == {
        "failed": 1,
        "evasions": 1,
        "boilerplate": 2,
        "duplicates": 2,
        "label leakage": 2,
        "other classes": 1,
        "language": 1,
        "length": 0,
        "coverage": 1,
        "separation": 0,
    }
    assert [row.digest for row in found["other classes"].rows] == ["dog/2.jpg"]
    assert [row.digest for row in found["language"].rows] == ["cat/4.jpg"]
    assert found["coverage"].examples == ["dog: 3 of 4"]
    assert "--retry-failed" in found["failed"].remedy
    assert any("to look at: failed, evasions, boilerplate" in str(line) for line in result.lines())
    assert '"rows": []' in result.to_json()


def test_boilerplate_is_cut_and_chosen_texts_are_requeued(work: Path) -> None:
    result = lint(LintSettings(work, strip_boilerplate=True, requeue=("evasions", "language")))
    assert (result.stripped, result.requeued) == (2, 2)
    with DescriptionStore.open(work) as store:
        texts = {row.digest: row.text for row in store.ok_descriptions()}
    assert texts["cat/1.jpg"] == "A grey cat asleep on a red sofa."
    assert not {"dog/3.jpg", "cat/4.jpg"} & texts.keys()


def test_mistakes_are_one_clear_line(work: Path) -> None:
    with pytest.raises(SettingsError, match="--requeue spelling is no check; choose from failed"):
        lint(LintSettings(work, requeue=("spelling",)))
    with pytest.raises(DescriptionError, match=r"no ok descriptions of this prompt .* it has \{'p': 7\}"):
        lint(LintSettings(work, prompt="q"))


def test_the_shipped_descriptions_name_their_class_and_tell_it_even_without(tmp_path: Path) -> None:
    describe(DescribeSettings("fashion-mnist:1k", tmp_path, describer="replay", file=SHIPPED))
    found = {finding.check: finding for finding in lint(LintSettings(tmp_path)).findings}
    assert [name for name, finding in found.items() if finding.is_bad] == ["label leakage"]
    assert 700 < found["label leakage"].count < 900
    assert found["separation"].total == 1000
    assert found["separation"].count < 100, "a linear reader finds the class in more than nine of ten"
    assert not lint(LintSettings(tmp_path, encoder="open_clip")).findings[7].is_bad


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("The image shows a dog.", "A dog."),
        ("This photo depicts two boots.", "Two boots."),
        ("In this picture, there is a bag on a table.", "A bag on a table."),
        ("Sure! Here is a description: A red hat.", "A red hat."),
        ("Description: a red hat.", "A red hat."),
        ("A red hat with an image of a cat.", "A red hat with an image of a cat."),
        ("The image", "The image"),
    ],
)
def test_openings_about_the_picture_are_cut(text: str, stripped: str) -> None:
    assert strip_boilerplate(text) == stripped


@pytest.mark.parametrize(
    ("name", "text", "is_named"),
    [
        ("cat", "two cats", True),
        ("cat", "a category", False),
        ("T-shirt/top", "a grey top", True),
        ("T-shirt/top", "a T shirt", True),
        ("T-shirt/top", "a topcoat", False),
        ("ankle_boot", "an ankle boot", True),
        ("dress", "dresses", True),
        ("shirt", "a t-shirt", False),
    ],
)
def test_class_names_are_found_as_words(name: str, text: str, is_named: bool) -> None:
    assert bool(class_pattern(name).search(text)) == is_named


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("A grey cat lies on the sofa in the sun.", "English"),
        ("Die graue Katze liegt auf dem Sofa und schläft.", "German"),
        ("Le chat gris est sur le canapé avec une souris.", "French"),
        ("一只灰色的猫躺在沙发上", "Cjk"),
        ("striped, whiskers, green eyes", "unknown"),
    ],
)
def test_languages_are_told_apart(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_near_duplicates_agree_with_comparing_all_pairs() -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    bases = [generator.integers(0, 10_000, 30) for _ in range(20)]
    sets = [frozenset(base.tolist()) for base in bases]
    sets += [frozenset([*base[:-2].tolist(), 10_001, 10_002]) for base in bases[:10]]
    expected = {frozenset((i, 20 + i)) for i in range(10)}
    assert {frozenset(group) for group in find_groups(sets)} == expected

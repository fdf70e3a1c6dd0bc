"""What goes to vLLM on a cluster and what comes back; the engine itself needs a GPU."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpt4image.describe.asking.missing import Ask, Request
from gpt4image.describe.local.vllm import RowReader, keep_answer, to_reply, to_row
from gpt4image.describe.prompts.parse import parse_prompts
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.store.states import State
from gpt4image.images import ImageSet, open_images

PROMPT = parse_prompts(["It is a {class}. Describe it."])[0]


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    for name in ("cat/a.jpg", "cat/b.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path)
    (tmp_path / "cat/b.jpg").write_bytes(b"no image")
    return open_images(str(tmp_path))


def ask(index: int, words: str = "It is a cat. Describe it.") -> Ask:
    return Ask(index, "digest", PROMPT, words, Request(50, 768), sample=1, seed=1)


def test_a_row_gets_its_picture_and_an_unreadable_one_says_so(images, ray_here) -> None:
    import ray

    read = RowReader(ray.put(images), {"temperature": 0.5})
    places = Places(images)
    good, bad = (read(to_row(number, ask(number, places.render(PROMPT, number)))) for number in (0, 1))
    content = good["messages"][0]["content"]
    assert content[0]["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
    assert content[1]["text"] == "It is a cat. Describe it."
    assert good["sampling_params"] == {"temperature": 0.5, "max_tokens": 50, "seed": 1}
    assert "b.jpg" in bad["unreadable"]
    assert bad["messages"][0]["content"] == "It is a cat. Describe it."
    assert to_reply({"number": 1, "unreadable": bad["unreadable"]}, ask(1)).state is State.UNREADABLE_IMAGE


@pytest.mark.parametrize(
    ("output", "state"),
    [
        ({"generated_text": "A grey cat.", "num_generated_tokens": 5}, State.OK),
        ({"generated_text": "A grey", "num_generated_tokens": 50}, State.TRUNCATED),
        ({"generated_text": "<think>Well</think>", "num_generated_tokens": 9}, State.REASONING_ONLY),
    ],
)
def test_answers_have_the_states_of_any_describer(output, state) -> None:
    row = {"number": 0, "unreadable": "", "num_input_tokens": 85, "messages": "not wanted back"} | output
    kept = keep_answer(row)
    assert "messages" not in kept
    reply = to_reply(kept, ask(0))
    assert (reply.state, reply.tokens_in) == (state, 85)


def test_a_row_the_engine_failed_on_is_an_endpoint_error() -> None:
    reply = to_reply({"number": 0, "__inference_error__": "ValueError: too long"}, ask(0))
    assert (reply.state, reply.error) == (State.ENDPOINT_ERROR, "ValueError: too long")

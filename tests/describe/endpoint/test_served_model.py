"""The endpoint describer against `transformers serve` with a real, tiny vision-language model."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.describe.conftest import free_port, serve_vlm

from gpt4image.describe import DescribeSettings, DescriptionStore, State, describe
from gpt4image.errors import EndpointError

ImageFolder = Callable[..., Path]
MOST_S = 180.0
"""For a server to be there; whatever goes wrong, the test ends."""


def test_two_prompts_and_two_samples_through_a_real_model(
    served_vlm: str, tiny_vlm: Path, image_folder: ImageFolder, tmp_path: Path
) -> None:
    settings = DescribeSettings(
        str(image_folder(3)),
        tmp_path / "work",
        endpoint=(served_vlm,),
        model=str(tiny_vlm),
        prompt=("attributes", "What is the {class} like?"),
        samples=2,
        max_tokens=12,
        extra_body='{"generation_config": "{\\"do_sample\\": true, \\"max_new_tokens\\": 12}"}',
        max_failures="100%",
    )
    result = describe(settings)
    assert result.new == 3 * 2 * 2
    with DescriptionStore.open(tmp_path / "work") as store:
        rows = list(store.descriptions())
    assert len(rows) == 12
    assert {row.describer for row in rows} == {"tiny-llava"}
    assert {row.state for row in rows} <= {State.OK, State.TRUNCATED, State.EMPTY}
    assert all(row.tokens_in > 17 and 0 < row.tokens_out <= 13 for row in rows), "an image alone is 17 tokens"
    assert all(row.attempts == 1 and not row.error.startswith("status") for row in rows)
    again = describe(settings)
    assert (again.kept, again.new, again.redone) == (12, 0, 0)


def test_restarted_in_the_middle_it_costs_none_of_twenty_images(
    tiny_vlm: Path, image_folder: ImageFolder, tmp_path: Path
) -> None:
    port, work = free_port(), tmp_path / "work"
    settings = DescribeSettings(
        str(image_folder(20)), work, endpoint=(f"http://127.0.0.1:{port}/v1",), model=str(tiny_vlm), max_tokens=12
    )
    settings = replace(settings, in_flight=1, max_failures="100%", max_wait=MOST_S)

    def count_rows() -> int:
        with DescriptionStore.open(work, create=True) as store:
            return sum(store.counts().values())

    def restart() -> None:
        with serve_vlm(tiny_vlm, tmp_path, port) as process:
            is_served.set()
            while count_rows() < 5 and not is_done.is_set():
                time.sleep(0.02)
            process.kill()
        num_before.append(count_rows())
        if not is_done.is_set():
            with serve_vlm(tiny_vlm, tmp_path, port):
                is_done.wait(2 * MOST_S)

    num_before, is_served, is_done = list[int](), threading.Event(), threading.Event()
    thread = threading.Thread(target=restart, daemon=True)
    thread.start()
    try:
        assert is_served.wait(MOST_S)
        result = describe(settings)
    finally:
        is_done.set()
        thread.join(MOST_S)
    assert 5 <= num_before[0] < 20, "it was killed in the middle"
    assert result.new == 20
    assert State.ENDPOINT_ERROR not in result.states["detailed@1"], result.errors


def test_unknown_model_is_one_clear_line(served_vlm: str, image_folder: ImageFolder, tmp_path: Path) -> None:
    settings = DescribeSettings(
        str(image_folder(2)), tmp_path / "work", endpoint=(served_vlm,), model="no-such-model", retries=1
    )
    with pytest.raises(EndpointError, match=r"takes no picture at all .*pinned.*check --model"):
        describe(settings)

"""The endpoint describer against `transformers serve` with a real, tiny vision-language model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gpt4image.describe import DescribeSettings, DescriptionStore, State, describe
from gpt4image.errors import EndpointError

ImageFolder = Callable[..., Path]


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


def test_unknown_model_is_one_clear_line(served_vlm: str, image_folder: ImageFolder, tmp_path: Path) -> None:
    settings = DescribeSettings(
        str(image_folder(2)), tmp_path / "work", endpoint=(served_vlm,), model="no-such-model", retries=1
    )
    with pytest.raises(EndpointError, match=r"takes no picture at all .*pinned.*check --model"):
        describe(settings)

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gpt4image.describe import DescribeSettings, DescriptionStore, State, describe, plan_descriptions
from gpt4image.errors import ModelError

Make = Callable[..., Path]


def test_a_local_model_describes_in_batches_and_resumes(tiny_vlm: Path, image_folder: Make, tmp_path: Path) -> None:
    settings = DescribeSettings(
        str(image_folder(5)),
        tmp_path / "work",
        describer="local",
        model=str(tiny_vlm),
        prompt=("attributes", "What is the {class} like?"),
        samples=2,
        max_tokens=8,
        temperature=1.0,
        batch_size=3,
        max_failures="100%",
    )
    result = describe(settings)
    assert result.new == 5 * 2 * 2
    with DescriptionStore.open(settings.work) as store:
        rows = list(store.descriptions())
    assert {row.state for row in rows} <= {State.OK, State.TRUNCATED, State.EMPTY}
    assert all(row.tokens_in > 17 and 0 < row.tokens_out <= 8 for row in rows)
    assert len({row.text for row in rows}) > 10
    assert describe(settings).kept == 20
    assert describe(replace(settings, max_tokens=9)).redone == sum(row.state is State.TRUNCATED for row in rows)


def test_a_plan_measures_a_few_and_keeps_them(tiny_vlm: Path, image_folder: Make, tmp_path: Path) -> None:
    settings = DescribeSettings(
        str(image_folder(10)),
        tmp_path / "work",
        describer="local",
        model=str(tiny_vlm),
        max_tokens=8,
        usd_per_million_input=1.0,
        usd_per_million_output=10.0,
        max_failures="100%",
    )
    plan = plan_descriptions(settings)
    prompt = plan.prompts["detailed@1"]
    assert (prompt.kept, prompt.new, plan.measured) == (4, 6, 4)
    assert plan.tokens_in == round(6 * prompt.tokens_in) > 6 * 17
    assert plan.usd == pytest.approx((plan.tokens_in + 10 * plan.tokens_out) / 1e6, rel=0.05)
    assert plan_descriptions(settings).measured == 0


def test_a_folder_without_a_model_is_one_clear_line(image_folder: Make, tmp_path: Path) -> None:
    settings = DescribeSettings(
        str(image_folder(1)), tmp_path / "work", describer="local", model=str(tmp_path / "none")
    )
    with pytest.raises(ModelError, match="cannot be loaded as an image-text-to-text model"):
        describe(settings)

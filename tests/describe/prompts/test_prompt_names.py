"""Prompts by name, with and without version."""

import pytest

from gpt4image.describe.prompts.prompt_names import match_prompts
from gpt4image.errors import DescriptionError

KNOWN = ["attributes@1", "attributes@2", "attributes_plus", "blind", "me@home@1"]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (["attributes"], ["attributes@1", "attributes@2"]),
        (["attributes@2"], ["attributes@2"]),
        (["blind", "attributes", "blind"], ["blind", "attributes@1", "attributes@2"]),
        (["me@home"], ["me@home@1"]),
        ([], []),
    ],
)
def test_a_name_means_all_its_versions(wanted: list[str], meant: list[str]) -> None:
    assert match_prompts(wanted, KNOWN, "work") == meant


def test_unknown_name_says_what_there_is() -> None:
    with pytest.raises(
        DescriptionError, match="work holds no ok descriptions of prompt 'attribute'; it has attributes@1"
    ):
        match_prompts(["attribute"], KNOWN, "work")

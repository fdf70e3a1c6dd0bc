"""Stage 1: a multimodal LLM writes a description of every image."""

from gpt4image.describe.stage import (
    DescribeResult,
    DescribeSettings,
    describe,
    emit_requests,
    plan_descriptions,
)
from gpt4image.describe.store.rows import DescribedImage, Description
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore

__all__ = [
    "DescribeResult",
    "DescribeSettings",
    "DescribedImage",
    "Description",
    "DescriptionStore",
    "State",
    "describe",
    "emit_requests",
    "plan_descriptions",
]

"""Describing from inside a running event loop, as in a notebook."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gpt4image.describe import DescribeSettings, DescriptionStore, describe
from gpt4image.errors import EndpointError


def run_in_new_loop(notebook: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs a coroutine in a thread of its own: other tests may have left a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(notebook())).result()


def test_describe_works_where_an_event_loop_runs(
    served_vlm: str, tiny_vlm: Path, image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    settings = DescribeSettings(
        str(image_folder(2)), work, endpoint=(served_vlm,), model=str(tiny_vlm), max_tokens=4, max_failures="100%"
    )

    async def notebook() -> int:
        return describe(settings).new

    assert run_in_new_loop(notebook) == 2
    with DescriptionStore.open(work) as store:
        assert sum(store.counts().values()) == 2


def test_its_errors_arrive(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    settings = DescribeSettings(str(image_folder(1)), tmp_path / "work", endpoint=("http://8.8.8.8/v1",), model="m")

    async def notebook() -> None:
        describe(settings)

    with pytest.raises(EndpointError, match="allow-remote"):
        run_in_new_loop(notebook)

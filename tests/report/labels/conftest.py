"""Weighed labels that are made by hand."""

from pathlib import Path
from types import ModuleType

import pytest

from gpt4image.label.artifact import LabelTable


@pytest.fixture
def table(label_maker: ModuleType, tmp_path: Path) -> LabelTable:
    """Six photos in `photos`, their labels in `work`."""
    return label_maker.make_labels(tmp_path)

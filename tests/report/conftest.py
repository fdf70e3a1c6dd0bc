"""One comparison of untrained models, made once; tests that change it take a copy."""

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def maker() -> ModuleType:
    """What draws images, describes them and makes runs."""
    spec = importlib.util.spec_from_file_location("made_comparison", Path(__file__).with_name("made_comparison.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def made_comparison(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder `compare`, with `train`, `test` and `work` beside it."""
    folder = tmp_path_factory.mktemp("made")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    return maker.make_comparison(folder)


@pytest.fixture(scope="session")
def label_maker() -> ModuleType:
    """What draws photos and writes labels of them."""
    spec = importlib.util.spec_from_file_location("made_labels", Path(__file__).with_name("made_labels.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def comparison(made_comparison: Path, tmp_path: Path) -> Path:
    """A copy that a test may change; it still refers to the images and texts of the original."""
    return Path(shutil.copytree(made_comparison, tmp_path / "compare"))

"""What describes and looks needs none of the packages that only training needs (the extra `train`)."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from PIL import Image
from tests.describe.endpoint.stubs import Stub, completion, serve

from gpt4image.cli.failures import TRAIN

PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
WITHOUT = """
import sys
HEAVY = {heavy}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from gpt4image.cli import main
sys.exit(main(sys.argv[1:]))
"""


def module_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", one)[0].replace("-", "_") for one in requirements}


INSTALLED_WITH = {"huggingface_hub", "tokenizers"}
HEAVY = module_names(PYPROJECT["project"]["optional-dependencies"]["train"]) | INSTALLED_WITH


def command(*words: object) -> list[str]:
    """A command in a Python without the packages of `train`."""
    return [sys.executable, "-c", WITHOUT.format(heavy=sorted(HEAVY)), *map(str, words)]


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a `command`."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*words), capture_output=True, text=True, timeout=200, cwd=tmp_path)

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def endpoint() -> Iterator[Stub]:
    with serve(lambda asked: completion(asked.text)) as stub:
        yield stub


def test_the_extra_holds_what_is_heavy() -> None:
    assert {"torch", "torchvision", "timm", "transformers", "sentence_transformers"} <= HEAVY
    assert set(TRAIN.split()) == HEAVY
    assert not HEAVY & module_names(PYPROJECT["project"]["dependencies"])
    assert any("train" in one for one in PYPROJECT["project"]["optional-dependencies"]["dev"])


def test_describing_looking_and_mending_need_none_of_it(call: Callable, photos: Path, endpoint: Stub) -> None:
    asked = ("--endpoint", endpoint.url, "--model", "m")
    for words, outcome in [
        (("describe", photos, "work", *asked), "6"),
        (("lint", "work"), ""),
        (("gallery", "work"), "gallery"),
        (("describe-export", "work", "texts.jsonl"), "6"),
        (("describe-import", "other", "texts.jsonl", "--images", photos), "6"),
        (("doctor", *asked), "verdict"),
    ]:
        done = call(*words)
        assert done.returncode in (0, 3), (words, done.stderr)
        assert outcome in done.stdout, (words, done.stdout)
        assert "Traceback" not in done.stderr, (words, done.stderr)


def test_a_gallery_is_served_without_it(call: Callable, photos: Path, endpoint: Stub, tmp_path: Path) -> None:
    assert call("describe", photos, "work", "--endpoint", endpoint.url, "--model", "m").returncode == 0
    serve_it = command("gallery", "work", "--images", photos, "--serve")
    browser = build_opener(ProxyHandler({}), HTTPCookieProcessor())
    with subprocess.Popen(serve_it, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as gallery:
        assert gallery.stdout is not None
        address = gallery.stdout.readline().strip()
        try:
            assert browser.open(address, timeout=30).status == 200
            with browser.open(urljoin(address, "/data/index.js"), timeout=30) as index:
                assert '"classes":["cat","dog"]' in index.read().decode()
        finally:
            gallery.kill()


@pytest.mark.parametrize(
    "words", [("train", "photos", "run"), ("embed", "work"), ("label", "photos", "work"), ("evaluate", "run", "photos")]
)
def test_what_trains_says_what_to_install(call: Callable, photos: Path, endpoint: Stub, words: tuple[str, ...]) -> None:
    if words[0] != "train":
        assert call("describe", photos, "work", "--endpoint", endpoint.url, "--model", "m").returncode == 0
    done = call(*words)
    assert done.returncode == 2
    if words[0] != "evaluate":  # which looks for its run first
        assert "pip install 'gpt4image[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_is_told(call: Callable) -> None:
    from gpt4image import __version__

    assert call("--version").stdout.strip() == __version__


BROUGHT_ALONG = {
    "aiohttp": "openai[aiohttp]",
    "markupsafe": "jinja2",
    "huggingface_hub": "transformers",
    "tokenizers": "transformers",
}
"""Modules that are imported and come with a requirement which cannot do without them."""
WHERE_INSTALLED = {"cleanlab", "umap"}
"""Of which the user is told to install them."""


def find_imports() -> set[str]:
    """Modules, by their first name, that any line of the package imports."""
    found = set()
    for path in (Path(__file__).parents[1] / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"gpt4image"}


def test_all_that_is_imported_is_required() -> None:
    project = PYPROJECT["project"]
    extras = (one for name, wanted in project["optional-dependencies"].items() if name != "dev" for one in wanted)
    required = {canonicalize_name(Requirement(one).name) for one in (*project["dependencies"], *extras)}
    known = packages_distributions()
    missing = {
        name for name in find_imports() if not {canonicalize_name(one) for one in known.get(name, [name])} & required
    }
    assert missing == set(BROUGHT_ALONG) | WHERE_INSTALLED


def test_pinned_versions_can_be_installed_with_every_python_that_is_named() -> None:
    named = [one.rpartition(" ")[2] for one in PYPROJECT["project"]["classifiers"] if "Python :: 3." in one]
    wanting = {one.name: one.metadata["Requires-Python"] for one in distributions() if one.metadata["Requires-Python"]}
    assert len(wanting) > 50
    for python in named:
        assert not {name: spec for name, spec in wanting.items() if not SpecifierSet(spec).contains(f"{python}.0")}


def test_pinned_versions_are_those_that_are_tested() -> None:
    lines = (Path(__file__).parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(Requirement(line).name): line for line in lines if line and not line.startswith("#")}
    installed = {canonicalize_name(one.name): one.version for one in distributions()}
    both = pinned.keys() & installed.keys()
    assert len(both) > 100
    assert not {pinned[name] for name in both if not Requirement(pinned[name]).specifier.contains(installed[name])}

"""What the README and the docs tell readers to type exists: commands, flags, recipes, Python names, files, links."""

import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpt4image.cli import COMMANDS, parse_settings
from gpt4image.compare.recipe import read_recipe

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    (page.name, kind, text)
    for page in PAGES
    for kind, text in re.findall(
        r"^```([\w-]*|\{[\w-]+\})\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
]
STARTS = ("gpt4image ", "make ", "python ", "torchrun ")


def _lines() -> Iterator[tuple[str, str]]:
    """Page and command of each line that is to be typed."""
    for page, kind, text in BLOCKS:
        if kind in ("", "console", "bash", "sh"):
            lines = (line.removeprefix("$ ") for line in text.splitlines())
            yield from ((page, line) for line in lines if line.startswith(STARTS))


LINES = list(_lines())


def _blocks(kind: str) -> list[tuple[str, str]]:
    return [(page, text) for page, found, text in BLOCKS if found == kind]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_command_is_understood(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    if words[0] == "python":
        assert (ROOT / words[1]).exists()
        return
    if words[0] == "torchrun":
        words = ["gpt4image", *words[words.index("gpt4image.cli") + 1 :]]
    if words[1].isupper() or words[1:] == ["--version"]:
        return
    settings, _ = COMMANDS[words[1]].load()
    parse_settings(words[1], settings, words[2:])


def test_every_command_is_shown_somewhere() -> None:
    shown = {shlex.split(line)[1] for _, line in LINES if line.startswith("gpt4image ")}
    assert shown - {"COMMAND"} >= set(COMMANDS) - {"demo"}
    assert "make demo" in {line.partition("#")[0].strip() for _, line in LINES}


@pytest.mark.parametrize(("page", "text"), _blocks("python"))
def test_python_compiles_and_imports_what_exists(page: str, text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gpt4image"):
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize(("page", "text"), _blocks("yaml"))
def test_recipe_is_accepted(page: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    assert read_recipe(tmp_path / "recipe.yaml").images


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:examples|recipes|tests|benchmarks)/[\w/]+\.\w+", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    linked = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text)
    assert [link for link, _ in linked if not (page.parent / link).exists()] == []
    places = [(page.parent / link if link else page, anchor) for link, anchor in linked if anchor]
    assert [anchor for target, anchor in places if anchor not in _anchors(target)] == []


def _anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _tree(page: str) -> dict[str, str]:
    """Paths within the package that the tree of a page draws, with what it says of them."""
    text = (ROOT / page).read_text(encoding="utf-8").partition("src/gpt4image/\n")[2].partition("```")[0]
    found, room = {}, ""
    for indent, name, phrase in re.findall(r"^(│   )?[├└]── (\S+) +(.+)$", text, re.MULTILINE):
        room = room if indent else name
        found[room + name if indent else name] = phrase
    return found


def test_trees_draw_what_there_is() -> None:
    package = ROOT / "src" / "gpt4image"
    folders = {f"{path.parent.relative_to(package).as_posix()}/" for path in package.rglob("*/__init__.py")}
    own = {name for name in folders if name.count("/") == 1}
    contributing, readme = _tree("CONTRIBUTING.md"), _tree("README.md")
    assert contributing.keys() - {"report/templates/"} == folders
    modules = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    assert readme.keys() == own | modules


@pytest.mark.parametrize(
    ("thing", "room"),
    [
        ("provider's quirks", "describe/endpoint/"),
        ("losses", "train/objectives/"),
        ("file formats of captions", "describe/exchange/"),
        ("witnesses", "label/"),
        ("one source a file", "images/"),
        ("one chart a file", "report/charts/"),
        ("metrics", "evaluate/"),
        ("situations and arms", "compare/"),
        ("presets", "describe/prompts/"),
        ("text encoders, one kind a file", "embed/encoders/"),
    ],
)
def test_the_tree_says_where_new_things_go(thing: str, room: str) -> None:
    """One room each, and CONTRIBUTING fits on a screen."""
    assert [name for name, phrase in _tree("CONTRIBUTING.md").items() if thing in phrase] == [room]
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 64


def test_command_page_is_in_step_with_the_settings() -> None:
    spec = importlib.util.spec_from_file_location("write_cli", ROOT / "docs" / "write_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.write_page(), "run: make docs"


def test_readme_says_how_to_get_the_cpu_build_of_pytorch_before_the_package_pulls_the_other() -> None:
    (commands,) = [text for page, _, text in BLOCKS if page == "README.md" and "pip install '.[train]'" in text]
    named = re.match(r"pip install torch torchvision --index-url (\S+/whl/cpu)\npip install '\.\[train\]'\n", commands)
    assert named is not None
    assert f"`make demo TORCH_INDEX={named[1]}`" in (ROOT / "README.md").read_text(encoding="utf-8")

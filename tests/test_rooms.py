"""The house: folders that can be looked through, imports that go down the rooms and never in a circle."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "gpt4image"
GROUND = ("errors", "files", "results", "progress", "models", "runs", "cluster", "stopping", "shown")
"""Modules beside the rooms; `images` may use the first four, the other rooms all."""
ROOMS = ("images", "describe", "embed", "label", "forecast", "train", "evaluate", "export", "compare", "report", "demo")
MOST_ENTRIES, MOST_IN_PACKAGE, MOST_LINES = 16, 24, 300


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path: Path) -> set[str]:
    """Modules of the package that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gpt4image"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
    return found


IMPORTS = {name: imports_of(path) - {name, "gpt4image"} for name, path in MODULES.items()}


def room_of(module: str) -> str:
    return module.split(".")[1]


def test_no_folder_is_crowded() -> None:
    for folder in [PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__")]:
        entries = [path.name for path in folder.iterdir() if path.name != "__pycache__"]
        assert len(entries) <= (MOST_IN_PACKAGE if folder == PACKAGE else MOST_ENTRIES), f"{folder}: {sorted(entries)}"


def test_no_file_is_long() -> None:
    long = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_down_the_rooms(name: str) -> None:
    room = room_of(name) if name != "gpt4image" else ""
    if room in ROOMS:
        allowed = {*ROOMS[: ROOMS.index(room) + 1], *GROUND}
    elif room in GROUND:
        allowed = {*GROUND, "images"}
    else:
        return  # cli and drop_in stand above all rooms.
    assert {module for module in IMPORTS[name] if room_of(module) not in allowed} == set()


def test_no_imports_go_in_a_circle() -> None:
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for module in sorted(IMPORTS.get(name, ())):
                walk(module, (*way, name))
            done.add(name)

    for name in MODULES:
        walk(name, ())

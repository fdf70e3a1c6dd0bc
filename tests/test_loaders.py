"""Everything read from a folder is data: each loader is found in the source, and is fed code."""

import ast
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import gpt4image
from gpt4image.cli import main
from gpt4image.compare.recipe import read_recipe
from gpt4image.describe.replay.rows import read_any
from gpt4image.embed.class_names import load_class_vectors
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.embed.table import EmbeddingTable
from gpt4image.errors import DescriptionError, Gpt4ImageError, ModelError, RunError
from gpt4image.models.create import create_model
from gpt4image.runs import load_manifest, load_model
from gpt4image.train.checkpoint import load_checkpoint
from gpt4image.train.run_folder import load_content

PACKAGE = Path(gpt4image.__file__).parent
NEVER = {
    *("eval", "exec", "pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "shelve.open", "joblib.load"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "runpy.run_path", "runpy.run_module"),
}
SAFE_IF = {
    "torch.load": ("weights_only", True),
    "load_state_dict": ("weights_only", True),
    "np.load": ("allow_pickle", False),
}
"""What makes a loader safe; NumPy's is so unless told otherwise."""


def calls() -> list[tuple[str, str, ast.Call]]:
    """File, name and node of every call in the package."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.append((path.relative_to(PACKAGE).as_posix(), ast.unparse(node.func), node))
    return found


def test_no_loader_that_runs_code_is_called() -> None:
    assert [(file, name) for file, name, _ in calls() if name in NEVER] == []
    for file, name, node in calls():
        if name in SAFE_IF and not (name == "load_state_dict" and len(node.args) == 2):
            option, value = SAFE_IF[name]
            given = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg == option}
            assert given.get(option, name == "np.load" and value) == value, f"{file}: {name}"
    # Modules by name: the commands' own, and a model that the user has named.
    imports = {file for file, name, _ in calls() if name.endswith("import_module")}
    assert imports == {"cli/commands.py", "models/create.py"}


class Trap:
    """Pickled code that leaves a file behind when it is run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def as_torch(path: Path, mark: Path) -> None:
    torch.save({"epoch": 1, "parts": Trap(mark)}, path)


def as_numpy(path: Path, mark: Path) -> None:
    np.save(path, np.array([Trap(mark)], dtype=object), allow_pickle=True)


def as_npz(path: Path, mark: Path) -> None:
    np.savez(path, names=np.array([Trap(mark)], dtype=object), vectors=np.zeros((1, 2)))


def as_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(mark)))


def as_yaml(path: Path, mark: Path) -> None:
    path.write_text(f"content: !!python/object/apply:os.mkdir [{mark}]\nsettings: {{}}\n")


def as_modules(path: Path, mark: Path) -> None:
    """A folder in the form of sentence-transformers whose module is code beside it."""
    code = f"import os\nos.mkdir({str(mark)!r})\nclass Evil: ...\n"
    (path.parent / "modeling_evil.py").write_text(code)
    path.write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "modeling_evil.Evil"}]))
    (path.parent / "config_sentence_transformers.json").write_text("{}")


def open_table(path: Path) -> object:
    (path.parent / "manifest.json").write_text('{"num_rows": 1, "encoder": "x"}')
    return EmbeddingTable.open(path.parent)


LOADERS: dict[str, tuple[str, Callable[[Path, Path], None], Callable[[Path], object]]] = {
    "checkpoint": ("last.pt", as_torch, lambda path: load_checkpoint(path, {})),
    "checkpoint as a bare pickle": ("last.pt", as_pickle, lambda path: load_checkpoint(path, {})),
    "weights to start from": ("w.pth", as_torch, lambda path: create_model("test_resnet", 2, 32, weights=path)),
    "a .pth list": ("list.pth", as_torch, lambda path: list(read_any(path, None))),
    "vectors": ("vectors.npy", as_numpy, open_table),
    "text encoder that a run names": (
        "modules.json",
        as_modules,
        lambda path: load_encoder(f"st:{path.parent}", "cpu"),
    ),
    "settings": ("settings.yaml", as_yaml, lambda path: load_content(path.parent)),
    "recipe": ("recipe.yaml", as_yaml, read_recipe),
}


@pytest.mark.parametrize("name", LOADERS)
def test_code_in_a_file_is_refused_in_one_line_and_not_run(tmp_path: Path, name: str) -> None:
    file, write, load = LOADERS[name]
    mark = tmp_path / "code_was_run"
    write(tmp_path / file, mark)
    with pytest.raises(Gpt4ImageError) as told:
        load(tmp_path / file)
    assert not mark.exists()
    assert "\n" not in str(told.value)


def test_code_among_class_names_is_not_run_and_they_are_made_anew(tmp_path: Path) -> None:
    as_npz(tmp_path / "class_names.npz", tmp_path / "code_was_run")
    assert load_class_vectors(tmp_path, ["cat"]) is None
    assert not (tmp_path / "code_was_run").exists()


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a file behind when it is imported."""
    mark = tmp_path / "code_was_run"
    (tmp_path / "evil_module.py").write_text(
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\ndef make(**k): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("gpt4image.models.trust._allowed", set())
    return mark


def test_a_manifest_that_names_code_is_refused_until_the_user_names_it(
    tmp_path: Path, evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    manifest = {
        "model": "import:evil_module:make",
        "model_kwargs": {},
        "classes": ["a", "b"],
        "data_config": {"input_size": [3, 32, 32], "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear"},
        "num_features": 4,
        "images": str(tmp_path),
        "num_images": 1,
        "num_described": 0,
        "digests_hash": "",
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        ModelError, match=r"manifest.json wants to run code, 'import:evil_module:make'; if you know that"
    ):
        load_model(run, load_manifest(run))
    (tmp_path / "recipe.yaml").write_text(
        "title: t\nimages: a\ntest_images: a\ntrain: {model: 'import:evil_module:make'}\n"
    )
    with pytest.raises(ModelError, match=r"recipe.yaml wants to run code"):
        read_recipe(tmp_path / "recipe.yaml")
    (tmp_path / "config.yaml").write_text("model: import:evil_module:make\n")
    assert main(["train", str(tmp_path), str(tmp_path / "new"), "--config", str(tmp_path / "config.yaml")]) == 2
    assert "--config wants to run code" in capsys.readouterr().err
    assert not evil.exists()
    recipe = ["compare", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out")]
    assert main([*recipe, "--allow-import", "evil_module:make"]) == 2
    assert "wants to run code" not in capsys.readouterr().err
    assert main([*recipe, "--allow-import", "evil_module"]) == 2
    assert "--allow-import evil_module must be PACKAGE.MODULE:FUNCTION" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[]", '{"model": 1}', "[" * 100_000])
def test_a_damaged_manifest_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"manifest.json is damaged \(.*\); delete it, and the command that wrote it"):
        load_manifest(tmp_path)


def test_half_a_list_is_refused(tmp_path: Path) -> None:
    torch.save(["a"] * 100, tmp_path / "list.pth")
    data = (tmp_path / "list.pth").read_bytes()
    (tmp_path / "list.pth").write_bytes(data[: len(data) // 2])
    with pytest.raises(DescriptionError, match="is no list of texts that can be loaded safely"):
        list(read_any(tmp_path / "list.pth", None))

"""The command line: light start-up, exit statuses, one line a mistake, help for every setting."""

import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path

import docstring_parser
import pytest
import yaml
from PIL import Image

from gpt4image import __version__
from gpt4image.cli import COMMANDS, main, make_parser

HEAVY = {"torch", "timm", "transformers", "sentence_transformers", "sklearn", "matplotlib", "ray", "onnx"}


def modules_after(code: str) -> set[str]:
    """Which heavy modules a fresh interpreter has loaded after running `code`."""
    program = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\nprint(*sys.modules, sep=',')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split(",")}


def test_overview_loads_no_library_at_all() -> None:
    loaded = modules_after("from gpt4image.cli import main; main(['--help'])")
    assert not loaded & (HEAVY | {"numpy", "rich", "jsonargparse", "pyarrow"})


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_every_command_is_light(command: str) -> None:
    assert not modules_after(f"from gpt4image.cli import main; main([{command!r}, '--help'])") & HEAVY


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_setting_is_documented_and_nothing_else(command: str) -> None:
    module = importlib.import_module(COMMANDS[command].module)
    settings = getattr(module, COMMANDS[command].settings)
    documented = [param.arg_name for param in docstring_parser.parse(settings.__doc__).params]
    assert documented == [field.name for field in dataclasses.fields(settings)]
    assert make_parser(command, settings).format_help().count("--json") >= 1


def test_version_and_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
    assert main(["descibe"]) == 2
    assert "there is no such command; choose from demo, " in capsys.readouterr().err
    assert main([]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["embed"], "WORK missing"),
        (["train", "a", "b", "--epochs", "many"], "many"),
        (["train", "a", "b", "--nonsense"], "--nonsense"),
        (["compare", "a", "--arms", "aligned", "--arms=shuffled"], "--arms is given twice; write all values after one"),
        (["train", "a", "b", "--objective", "clap"], "clap"),
        (["train", "/nonexistent", "b", "--epochs", "0"], "--epochs is 0; it must be at least 1"),
        (["train", "/nonexistent", "b"], "/nonexistent does not exist"),
        (["embed", "/nonexistent"], "descriptions.sqlite does not exist"),
        (["evaluate", "/nonexistent", "fashion-mnist:test"], "is no run"),
        (["export", "/nonexistent", "out"], "is no run"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"gpt4image {arguments[0]}: ")
    assert words in error
    assert error.count("\n") == 1


def test_file_first_flags_win(tmp_path: Path) -> None:
    from gpt4image.cli import parse_settings
    from gpt4image.train import TrainSettings

    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"epochs": 7, "lr": 0.5, "prompts": ["blind"], "model_kwargs": {"a": [1]}}))
    settings = parse_settings("train", TrainSettings, ["photos", "run", "--config", str(path), "--lr", "0.25"])
    assert (settings.epochs, settings.lr, settings.run) == (7, 0.25, Path("run"))
    assert settings.prompts == ("blind",)
    assert settings.model_kwargs == {"a": [1]}


def test_json_is_one_object_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos/cat").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/cat/1.png")
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"key": "cat/1.png", "text": "a black square"}')
    arguments = ["describe", str(tmp_path / "photos"), str(tmp_path / "work"), "--describer", "replay"]
    assert main([*arguments, "--file", str(captions), "--field", "text", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)

"""The command line: light start-up, exit statuses, one line a mistake, help for every setting."""

import dataclasses
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import docstring_parser
import pytest
import yaml
from PIL import Image

from gpt4image import __version__
from gpt4image.cli import COMMANDS, main
from gpt4image.cli.groups import read_groups, read_settings
from gpt4image.cli.usage import write_help

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAVY = {"torch", "timm", "transformers", "sentence_transformers", "sklearn", "matplotlib", "ray", "onnx"}


def modules_after(code: str) -> set[str]:
    """Which heavy modules a fresh interpreter has loaded after running `code`."""
    program = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\nprint(*sys.modules, sep=',')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split(",")}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("embed work --batch-size 0", "--batch-size is 0; it must be at least 1"),
        ("embed work --ray-workers 0", "--ray-workers is 0; it must be at least 1"),
        ("embed work --name ../x", "--name '../x' cannot be a folder's name"),
        ("evaluate run photos --workers -1", "--workers is -1; it must be at least 0"),
        ("evaluate run photos --batch-size 0", "--batch-size is 0; it must be at least 1"),
        ("transfer run photos photos --workers -2", "--workers is -2; it must be at least 0"),
        ("transfer run photos photos --batch-size -1", "--batch-size is -1; it must be at least 1"),
        ("search run photos cat --batch-size 0", "--batch-size is 0; it must be at least 1"),
        ("search run photos cat --top 0", "--top is 0; it must be at least 1"),
        ("label photos work --seed -1", "--seed is -1; it must be at least 0"),
        ("label photos work --workers -1", "--workers is -1; it must be at least 0"),
        ("label photos work --name a/../../b", "--name 'a/../../b' cannot be a folder's name"),
        ("label-export work out.csv --least-confidence 2", "--least-confidence is 2.0; it must be between 0 and 1"),
        ("train photos run --seed -5", "--seed is -5; it must be 0 or more"),
        ("train photos run --stop-after 0", "--stop-after is 0; it must be at least 1"),
        ("train photos run --targets picks", "--targets picks stand in weighed labels; add --labels NAME"),
        ("split nowhere", "split takes a folder with one sub-folder a class; nowhere is none"),
    ],
)
def test_a_value_that_cannot_be_is_one_line(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_overview_loads_no_library_at_all() -> None:
    loaded = modules_after("from gpt4image.cli import main; main(['--help'])")
    assert not loaded & (HEAVY | {"numpy", "rich", "jsonargparse", "pyarrow"})


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_every_command_is_light(command: str) -> None:
    assert not modules_after(f"from gpt4image.cli import main; main([{command!r}, '--help-all'])") & HEAVY


def settings_of(command: str) -> Any:
    return COMMANDS[command].load()[0]


def flags_in(page: str) -> set[str]:
    """Flags that stand at the beginning of a line, switches without their `no-`."""
    return set(re.findall(r"^  (--\S+|[A-Z_]+)", page.replace("[no-]", ""), re.MULTILINE))


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_setting_is_documented_and_nothing_else(command: str) -> None:
    settings = settings_of(command)
    parts = [part for part in reversed(settings.__mro__) if inspect.get_annotations(part)]
    documented = [param.arg_name for part in parts for param in docstring_parser.parse(part.__doc__).params]
    assert documented == [field.name for field in dataclasses.fields(settings)]
    assert write_help(command, settings, everything=False).count("--json") >= 1


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_setting_stands_in_one_group_in_all_of_the_help_and_on_the_page(command: str) -> None:
    settings = settings_of(command)
    flags = [setting.flag for group in read_groups(settings) for setting in group.settings]
    names = [flag.removeprefix("--").replace("-", "_").lower() for flag in flags]
    assert names == [field.name for field in dataclasses.fields(settings)]
    assert flags_in(write_help(command, settings, everything=True)) == {*flags, "--config", "--json"}
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {command}\n")[1].split("\n## ")[0]
    for flag in flags:
        assert len(re.findall(rf"^\| `{flag}[` ]", section, re.MULTILINE)) == 1, flag
    assert re.findall(r"^### (.+)$", section, re.MULTILINE) == [g.heading for g in read_groups(settings) if g.heading]


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_fits_on_one_screen(command: str) -> None:
    lines = write_help(command, settings_of(command), everything=False).splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("command", ["train", "describe"])
def test_help_shows_what_most_people_need_and_says_where_the_rest_is(command: str) -> None:
    settings = settings_of(command)
    page, everything = (write_help(command, settings, everything=everything) for everything in (False, True))
    shown = flags_in(page) - {"--config", "--json"}
    assert 10 <= len(shown) <= 15
    assert {name.replace("_", "-") for name in settings.COMMON} <= {flag.removeprefix("--") for flag in shown}
    hidden = len(dataclasses.fields(settings)) - len(shown)
    assert page.splitlines()[-1] == f"gpt4image {command} --help-all shows {hidden} more settings."
    assert "--help-all" not in everything
    headings = [line for line in page.splitlines()[4:-1] if line and line[0] != " "]
    assert headings == [g.heading for g in read_groups(settings) if any(setting.is_common for setting in g.settings)]


def test_help_of_a_setting_says_what_it_may_be_and_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "photos", "run", "--help-all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: gpt4image train IMAGES RUN [OPTIONS]"
    place = lines.index("Labels")
    assert lines[place + 1].split(maxsplit=2)[:2] == ["--labels", "TEXT"]
    assert "weighed, given, picks, true [weighed]" in " ".join(" ".join(lines[place:]).split())
    assert "  --projector WORD       from image features to text embeddings: mlp, linear [linear]" in lines
    assert main(["describe", "photos", "work", "--help-all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("  --requests-per-minute N")
    assert lines[place + 1].strip() == "limit of the endpoint's plan"


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


def test_a_file_may_hold_every_setting_and_words_win_wherever_they_stand(tmp_path: Path) -> None:
    from gpt4image.cli import parse_settings
    from gpt4image.describe import DescribeSettings

    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"images": "photos", "work": "work", "limit": 7}))
    for words in (["--config", str(path)], [f"--config={path}"]):
        settings = parse_settings("describe", DescribeSettings, words)
        assert (settings.images, settings.work, settings.limit) == ("photos", Path("work"), 7)
        settings = parse_settings("describe", DescribeSettings, ["others", "--limit", "3", *words])
        assert (settings.images, settings.work, settings.limit) == ("others", Path("work"), 3)


@pytest.mark.parametrize("command", ["describe", "embed", "label", "train"])
def test_one_value_in_a_file_is_a_list_of_one_and_none_is_the_default(command: str, tmp_path: Path) -> None:
    from gpt4image.cli import parse_settings

    settings_class, _ = COMMANDS[command].load()
    places = ["a" for setting in read_settings(settings_class) if setting.is_positional]
    path = tmp_path / "settings.yaml"
    for setting in (setting for setting in read_settings(settings_class) if setting.is_list):
        kind, *_ = typing.get_args(setting.hint)
        one = 3 if kind in (int, float) else "3"
        for written, expected in ((one, (kind(one),)), (None, tuple(setting.default))):
            path.write_text(yaml.safe_dump({setting.name: written}))
            settings = parse_settings(command, settings_class, [*places, "--config", str(path)])
            assert getattr(settings, setting.name) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"prompt: {a: 1}", "prompt must be a list such as [a, b], not {'a': 1}"),
        (b"prompt: [a, ", "cannot be read as YAML: while parsing a flow node"),
        (b"hello", "must hold lines such as `model: resnet50`, not 'hello'"),
        (b"- a", "must hold lines such as `model: resnet50`"),
        (b"\xff\xfe", "cannot be read as YAML"),
        (None, "cannot be read as YAML: [Errno 2] No such file or directory"),
    ],
)
def test_a_file_that_holds_no_settings_is_one_line(tmp_path: Path, capsys, text: bytes | None, words: str) -> None:
    path = tmp_path / "settings.yaml"
    if text is not None:
        path.write_bytes(text)
    assert main(["describe", "photos", str(tmp_path / "work"), "--config", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"gpt4image describe: --config {path}")
    assert words in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("command", list(COMMANDS))
def test_what_is_not_given_is_the_default(command: str) -> None:
    from gpt4image.cli import parse_settings

    settings_class, _ = COMMANDS[command].load()
    places = [setting for setting in read_settings(settings_class) if setting.is_positional]
    given = {setting.name: Path("a") if setting.hint is Path else "a" for setting in places}
    assert parse_settings(command, settings_class, ["a"] * len(places)) == settings_class(**given)


def test_json_is_one_object_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos/cat").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/cat/1.png")
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"key": "cat/1.png", "text": "a black square"}')
    arguments = ["describe", str(tmp_path / "photos"), str(tmp_path / "work"), "--describer", "replay"]
    assert main([*arguments, "--file", str(captions), "--field", "text", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)

"""What `python -m build` makes: a wheel that holds all of the package and works where nothing else is installed."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from gpt4image import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(*words: object) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


def test_all_files_of_the_package_are_inside(dist: Path) -> None:
    listed = run("git", "-C", ROOT, "ls-files", "src").split()
    (wheel,), (archive,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {"gpt4image/demo/descriptions.jsonl", "gpt4image/report/templates/report.html.j2"} <= inside
    assert {name for name in inside if ".dist-info/" not in name} == {name.removeprefix("src/") for name in listed}
    assert archive.stat().st_size < 20e6
    with tarfile.open(archive) as opened:
        assert not any({".venv", "shared", "demo-out"} & set(Path(name).parts) for name in opened.getnames())


def test_it_is_installed_and_runs(dist: Path, tmp_path: Path) -> None:
    """In an environment of its own, which has the packages that the wheel asks for lent from this one."""
    venv.create(tmp_path / "venv")
    (wheel,) = dist.glob("*.whl")
    python = tmp_path / "venv/bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    assert run(tmp_path / "venv/bin/gpt4image", "--version").strip() == __version__
    assert "Fashion-MNIST" in run(tmp_path / "venv/bin/gpt4image", "demo", "--help")
    script = "from gpt4image.demo import stage; print(stage.__file__)"
    assert run(python, "-c", script).startswith(str(site))


def test_the_versions_of_python_are_those_that_are_asked_for() -> None:
    named = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if "Python :: 3." in one]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert named == ["3.11", "3.12", "3.13"]

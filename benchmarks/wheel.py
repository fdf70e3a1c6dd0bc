"""Does the wheel install and work with each Python, where nothing else is installed?

    python benchmarks/wheel.py python3.11 python3.12 python3.13

Builds the wheel and, for each interpreter, makes two empty environments outside the checkout, one after the other: with
the wheel alone, which describes, lints and shows a few made photos without PyTorch, and with PyTorch and the extra
`train`, which runs the demo with the fewer and smaller images of `kills.py`. Versions are those of constraints.txt.
Prints a row for each interpreter: size of the environment, seconds, and whether each check passed. Exits with 1 if any
failed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kills import make_photos

from gpt4image import __version__

ROOT = Path(__file__).parents[1]
Checks = dict[str, tuple[str, str]]
"""By name: a command, its words after the environment's bin/, and what it must print."""

SMALL_DEMO = f"import sys; sys.path.append('{Path(__file__).parent}'); import kills; sys.exit(kills.run_tiny_demo())"
NO_TORCH = "from importlib.util import find_spec; print(find_spec('torch'))"
REPLAY = "--describer replay --file demo.jsonl --field description"
LIGHT: Checks = {
    "pip check": ("python -m pip check", "No broken requirements"),
    "no torch": (f'python -c "{NO_TORCH}"', "None"),
    "--version": ("gpt4image --version", __version__),
    "describe": (f"gpt4image describe photos work {REPLAY}", "40 images"),
    "lint": ("gpt4image lint work", "40 descriptions"),
    "doctor --help": ("gpt4image doctor --help", "--endpoint"),
    "gallery": ("gpt4image gallery work --images photos", "gallery/index.html"),
}
WHOLE: Checks = {
    "pip check": ("python -m pip check", "No broken requirements"),
    "--version": ("gpt4image --version", __version__),
    "demo --help": ("gpt4image demo --help", "Fashion-MNIST"),
    "demo": (f'python -c "{SMALL_DEMO}"', "exported model: demo/export"),
}


def build(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def run(command: str, folder: Path, expected: str = "") -> bool:
    """Whether it ends well and prints what is expected; what it printed goes to stderr if not."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {**inherited, "XDG_CACHE_HOME": str(folder / "cache"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    passed = done.returncode == 0 and expected in done.stdout
    if not passed:
        print(f"{command}: exit status {done.returncode}", done.stdout, done.stderr, sep="\n", file=sys.stderr)
    return passed


def try_environment(python: str, installed: Sequence[str], checks: Checks) -> list[str]:
    """Cells of the table: size and seconds of an environment with the packages, then each check."""
    with tempfile.TemporaryDirectory() as made:
        folder, begin = Path(made), time.monotonic()
        make_photos(folder / "photos")
        pip = f"venv/bin/python -m pip install --quiet --constraint '{ROOT / 'constraints.txt'}'"
        if not all(run(one, folder) for one in (f"{python} -m venv venv", *(f"{pip} {one}" for one in installed))):
            return ["failed"] * (1 + len(checks))
        size = sum(path.lstat().st_size for path in (folder / "venv").rglob("*"))
        cells = [f"{size / 1e6:,.0f} MB, {time.monotonic() - begin:.0f} s"]
        for command, expected in checks.values():
            begin = time.monotonic()
            passed = run(f"venv/bin/{command}", folder, expected)
            cells.append(f"{'ok' if passed else 'failed'}, {time.monotonic() - begin:.0f} s")
        return cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    pythons, failed = parser.parse_args().pythons, False
    print("| Python |", *(f"{name} |" for name in ("wheel alone", *LIGHT, "with train", *WHOLE)))
    print("|---" * (3 + len(LIGHT) + len(WHOLE)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        for python in pythons:
            version = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout
            cells = try_environment(python, [f"'{wheel}'"], LIGHT)
            cells += try_environment(python, ["torch torchvision", f"'{wheel}[train]'"], WHOLE)
            print(f"| {version.split()[1]} |", *(f"{cell} |" for cell in cells), flush=True)
            failed |= any(cell.startswith("failed") for cell in cells)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

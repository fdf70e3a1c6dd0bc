"""The demo: the real stages on Fashion-MNIST with the descriptions that ship with the package."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.compare import CompareResult
    from gpt4image.compare.recipe import Recipe


@dataclass(frozen=True)
class DemoSettings:
    """All stages on Fashion-MNIST: describe, embed, train, evaluate, export, report.

    Attributes:
        out: folder for everything the demo writes; what is finished there is not done again
        seeds: runs an arm
        jobs: runs at once; one a core if not given
    """

    out: Path = Path("demo-out")
    seeds: int | None = None
    jobs: int | None = None


@dataclass(frozen=True)
class DemoResult(StageResult):
    """What the demo made.

    Attributes:
        comparison: baseline against aligned.
        export: folder of the exported model.
    """

    comparison: "CompareResult"
    export: Path

    def lines(self) -> Iterator[Any]:
        yield from self.comparison.lines()
        yield f'exported model: {self.export}   (timm.create_model("local-dir:{self.export}", pretrained=True))'


def demo(settings: DemoSettings) -> DemoResult:
    """Runs the demo's recipe through the real stages and exports an aligned model.

    Raises:
        ImageSetError: Fashion-MNIST is neither there nor to be downloaded.
    """
    from gpt4image.compare.stage import run_recipe
    from gpt4image.compare.summary import run_folder
    from gpt4image.export import ExportSettings, export
    from gpt4image.progress import say
    from gpt4image.report import write_report

    with as_file(files("gpt4image.demo")) as folder:
        recipe = _recipe(folder, settings.seeds)
        say(f"{recipe.title}: {len(recipe.situations)} situations, {recipe.seeds} seeds; all goes to {settings.out}")
        comparison = run_recipe(recipe, settings.out, settings.jobs, write_report=write_report)
    run = settings.out / run_folder(recipe.situations[0], "aligned", 0)
    target = settings.out / "export"
    if not (target / "verification.json").exists():
        export(ExportSettings(run=run, export=target, images=recipe.test_images))
    return DemoResult(comparison, target)


def _recipe(folder: Path, seeds: int | None) -> "Recipe":
    """The shipped recipe, with the shipped descriptions."""
    from dataclasses import replace

    from gpt4image.compare.recipe import read_recipe

    recipe = read_recipe(folder / "recipe.yaml")
    describe = {**recipe.describe, "file": str(folder / "descriptions.jsonl")}
    return replace(recipe, describe=describe, seeds=seeds or recipe.seeds)

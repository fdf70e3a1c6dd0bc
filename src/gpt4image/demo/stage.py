"""The demo: the real stages on Fashion-MNIST with the descriptions that ship with the package."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.results import StageResult

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from gpt4image.compare import CompareResult
    from gpt4image.compare.recipe import Recipe


@dataclass(frozen=True)
class DemoSettings:
    """All stages on Fashion-MNIST: describe, embed, train, evaluate, export, report.

    Attributes:
        out: folder for everything the demo writes; what is finished there is not done again
        seeds: runs an arm
        jobs: runs at once; one a core on a CPU if not given, one on a GPU
    """

    out: Path = Path("demo-out")
    seeds: int | None = None
    jobs: int | None = None


@dataclass(frozen=True)
class DemoResult(StageResult):
    """What the demo made.

    Attributes:
        frozen: heads on frozen pre-trained features: labels alone, picks alone, all that is known, all labels true.
        from_nothing: baseline against aligned, trained from nothing.
        export: folder of the exported model.
    """

    frozen: "CompareResult"
    from_nothing: "CompareResult"
    export: Path

    def lines(self) -> Iterator[Any]:
        for part in (self.frozen, self.from_nothing):
            yield part.comparison["title"]
            yield from part.lines()
        yield f'exported model: {self.export}   (timm.create_model("local-dir:{self.export}", pretrained=True))'


def demo(settings: DemoSettings) -> DemoResult:
    """Runs the demo's two recipes through the real stages and exports a model that learnt all that is known.

    Raises:
        ImageSetError: Fashion-MNIST is neither there nor to be downloaded.
    """
    from gpt4image.compare.runner import start_pool
    from gpt4image.compare.stage import count_jobs
    from gpt4image.compare.summary import run_folder
    from gpt4image.export import ExportSettings, export

    with as_file(files("gpt4image.demo")) as folder, start_pool(count_jobs(settings.jobs)) as pool:
        recipes = [_recipe(folder, name, settings) for name in ("frozen", "from_nothing")]
        frozen, from_nothing = (
            _compare(recipe, settings.out / name, settings.jobs, pool)
            for recipe, name in zip(recipes, ("frozen", "from_nothing"), strict=True)
        )
    run = settings.out / "frozen" / run_folder(recipes[0].situations[2], "aligned", 0)
    target = settings.out / "export"
    if not (target / "verification.json").exists():
        export(ExportSettings(run=run, export=target, images=recipes[0].test_images, max_images=500))
    return DemoResult(frozen, from_nothing, target)


def _compare(recipe: "Recipe", out: Path, jobs: int | None, pool: "ProcessPoolExecutor | None") -> "CompareResult":
    from gpt4image.compare.stage import run_recipe
    from gpt4image.progress import say
    from gpt4image.report import write_report

    say(f"{recipe.title}: {len(recipe.situations)} situations, {recipe.seeds} seeds; all goes to {out}")
    return run_recipe(recipe, out, jobs, write_report=write_report, pool=pool)


def _recipe(folder: Path, name: str, settings: DemoSettings) -> "Recipe":
    """A shipped recipe, with the shipped descriptions, in the work folder that both parts share."""
    from dataclasses import replace

    from gpt4image.compare.recipe import read_recipe

    recipe = read_recipe(folder / f"{name}.yaml")
    describe = {**recipe.describe, "file": str(folder / "descriptions.jsonl")}
    return replace(recipe, describe=describe, seeds=settings.seeds or recipe.seeds, work=settings.out / "work")

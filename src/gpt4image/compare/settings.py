"""The settings of the compare stage, in groups; `CompareSettings` has all of them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WhatToCompare:
    """What to compare.

    Attributes:
        recipe: YAML file; see the folder recipes/
        out: folder for runs, comparison.json and the report; a comparison that was interrupted goes on
        seeds: runs an arm; the recipe's if not given
        arms: arms beside the baseline; the recipe's if none is given
        situations: names of the recipe's situations to compare; all if none is given
    """

    recipe: Path
    out: Path = Path("comparison")
    seeds: int | None = None
    arms: tuple[str, ...] = ()
    situations: tuple[str, ...] = ()


@dataclass(frozen=True)
class HowToCompare:
    """How to go about it.

    Attributes:
        jobs: runs at once; one a core on a CPU if not given, one on a GPU
        device: auto, cpu, cuda, cuda:N or mps
        corruptions: also measure every run under the 15 common corruptions of the test images, which takes long
    """

    jobs: int | None = None
    device: str = "auto"
    corruptions: bool = False


# Dataclasses take their fields from the last base first, which is the order of the groups above.
@dataclass(frozen=True)
class CompareSettings(HowToCompare, WhatToCompare):
    """Compare arms over seeds: does text help, and by how much?"""

"""`comparison.json` as typed values: arms by seeds in one or more situations, with differences to the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from gpt4image.errors import RunError
from gpt4image.files import check_kinds, read_json

FILE_NAME = "comparison.json"
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """One trained and evaluated model; its measures in percent, None if not measured.

    `labels` tells what was estimated of the given labels and of each witness that spoke about them.
    """

    seed: int
    path: Path
    top1: float | None = None
    top5: float | None = None
    ece: float | None = None
    macro: float | None = None
    macro_f1: float | None = None
    seconds: float | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """One training variant; `role` is baseline, method, control or relative, `explanation` a phrase."""

    name: str
    role: str
    runs: list[Run]
    top1_mean: float | None = None
    top1_std: float | None = None
    explanation: str = ""
    top1_low: float | None = None
    top1_high: float | None = None

    def mean_of(self, measure: str) -> float | None:
        """Mean of a measure over the runs that have it."""
        return _mean([getattr(run, measure) for run in self.runs])

    def mean_right(self, witness: str = "given labels") -> float | None:
        """Estimated share of images of which a witness is right, in percent, mean over the runs."""
        mean = _mean([run.labels.get(witness, {}).get("accuracy") for run in self.runs])
        return None if mean is None else 100 * mean

    def witnesses(self) -> list[str]:
        """Witnesses of the labels, the given labels among them, of which a share right was estimated."""
        names = dict.fromkeys(name for run in self.runs for name in run.labels)
        return [name for name in names if self.mean_right(name) is not None]

    def mean_interval(self, witness: str) -> tuple[float, float]:
        """Ends of the interval around `mean_right`, in percent, mean over the runs."""
        ends = [run.labels[witness]["interval"] for run in self.runs if witness in run.labels]
        low, high = (100 * sum(side) / len(ends) for side in zip(*ends, strict=True))
        return low, high


@dataclass(frozen=True)
class Difference:
    """Top-1 of an arm minus that of the baseline, in points, with its interval."""

    mean: float
    low: float
    high: float
    level: float = 0.95

    @property
    def finding(self) -> str:
        """`gain` or `loss` if the interval lies on one side of zero, `none` otherwise."""
        return "gain" if self.low > 0 else "loss" if self.high < 0 else "none"


@dataclass(frozen=True)
class Reference:
    """Without labels there is no baseline; the arms are set against that of the situation with all labels."""

    situation: str
    arm: str
    differences: dict[str, Difference]


@dataclass(frozen=True)
class Situation:
    """What of the labels was given, and how each arm fared."""

    name: str
    arms: dict[str, Arm]
    differences: dict[str, Difference]
    verdict: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    reference: Reference | None = None
    corruptions: dict[str, Any] = field(default_factory=dict)
    retrieval: dict[str, Any] = field(default_factory=dict)

    @property
    def has_one_seed(self) -> bool:
        """Whether the intervals are over test images only."""
        return max((len(arm.runs) for arm in self.arms.values()), default=0) == 1

    def main_arm(self, baseline: str) -> Arm | None:
        """The arm that the situation is about: the first method, else the first that is no baseline."""
        others = [arm for arm in self.arms.values() if arm.name != baseline]
        return next((arm for arm in others if arm.role == "method"), others[0] if others else None)


@dataclass(frozen=True)
class Comparison:
    """The whole of `comparison.json`, run paths made absolute."""

    folder: Path
    title: str
    situations: list[Situation]
    verdict: str = ""
    baseline: str = "baseline"
    created: str = ""
    images: str = ""
    test_images: str = ""
    classes: list[str] = field(default_factory=list)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    shares: list[Mapping[str, Any]] = field(default_factory=list)
    seconds: float | None = None


def load_comparison(folder: Path) -> Comparison:
    """Reads a comparison's folder.

    Raises:
        RunError: there is none, or it lacks what a report is about.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise RunError(f"{folder} is no comparison (it holds no {FILE_NAME}); make one with gpt4image compare")
    try:
        record = read_json(path)
        situations = [_read_situation(folder, entry) for entry in record["situations"]]
        title = record.get("title") or folder.name
        return _read(Comparison, record, folder=folder, title=title, situations=situations)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} cannot be read as a comparison ({error!r}); run gpt4image compare again") from error


def _read(kind: type[T], record: Mapping[str, Any], **values: Any) -> T:
    """A typed value from what a record says of it; these values go before, and what is not said is the default."""
    names = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    known = {name: value for name, value in record.items() if name in names and value is not None}
    return kind(**check_kinds(kind, known | values))  # type: ignore[arg-type]


def _read_situation(folder: Path, record: Mapping[str, Any]) -> Situation:
    reference = record.get("reference")
    return _read(
        Situation,
        record,
        arms={name: _read_arm(folder, name, arm) for name, arm in record["arms"].items()},
        differences=_read_differences(record),
        reference=_read(Reference, reference, differences=_read_differences(reference)) if reference else None,
        corruptions={
            name: {**arm, "difference": _read(Difference, arm["difference"]) if arm.get("difference") else None}
            for name, arm in (record.get("corruptions") or {}).items()
        },
    )


def _read_differences(record: Mapping[str, Any]) -> dict[str, Difference]:
    return {name: _read(Difference, entry) for name, entry in record.get("differences", {}).items() if entry}


def _read_arm(folder: Path, name: str, record: Mapping[str, Any]) -> Arm:
    runs = [_read(Run, run, path=folder / run["path"]) for run in record["runs"]]
    role = record.get("role", "baseline" if name == "baseline" else "method")
    return _read(Arm, record, name=name, role=role, runs=runs, explanation=record.get("explanation") or role)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

"""What the report shows of one situation, gathered from its runs; what is missing is noted and left out."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from markupsafe import Markup

from gpt4image.compare.comparison import Arm, Comparison, Situation
from gpt4image.describe.store.provenance import Provenance, read_provenance
from gpt4image.errors import Gpt4ImageError, RunError
from gpt4image.evaluate.record import Predictions, load_predictions
from gpt4image.report.charts.calibration import draw_calibration
from gpt4image.report.charts.curves import CurveChart, draw_curves
from gpt4image.report.charts.feature_map import Layout
from gpt4image.report.charts.per_class import ClassGain, compute_class_gains
from gpt4image.report.inside.inside import Inside, Inspector
from gpt4image.report.pictures import locate, open_pictures
from gpt4image.runs import MANIFEST, RunManifest, load_manifest


@dataclass(frozen=True)
class View:
    """One situation, ready to be shown.

    Attributes:
        situation: the numbers.
        main: the arm that the situation is about; None if there is only the baseline.
        colours: arm name to the CSS class of its colour.
        curves: learning curves.
        calibration: reliability diagram of baseline and main arm.
        gains: class by class, of the main arm.
        inside: examples, words and maps.
        manifest: of the main arm's first run.
        notes: what could not be shown and why.
    """

    situation: Situation
    main: Arm | None
    colours: dict[str, str]
    curves: list[CurveChart]
    calibration: Markup | None = None
    gains: list[ClassGain] = field(default_factory=list)
    inside: Inside | None = None
    manifest: RunManifest | None = None
    notes: tuple[str, ...] = ()


def choose_colours(comparison: Comparison) -> dict[str, str]:
    """A colour for each arm that stays the same over all situations; the baseline's is the first."""
    names = dict.fromkeys([comparison.baseline, *(arm for one in comparison.situations for arm in one.arms)])
    return {name: f"s{min(number, 9)}" for number, name in enumerate(names)}


def find_provenance(comparison: Comparison) -> list[Provenance]:
    """Where the descriptions come from that any run of the comparison was trained with."""
    tables: dict[Path, tuple[set[str], set[str]]] = {}
    for run in (arm.runs[0] for one in comparison.situations for arm in one.arms.values() if arm.runs):
        text = load_manifest(run.path).text if (run.path / MANIFEST).exists() else {}
        folder, table = locate(str(text.get("embeddings") or ""), comparison.folder), text.get("table", {})
        if folder is not None:
            prompts, describers = tables.setdefault(folder.parent.parent, (set(), set()))
            prompts.update(table.get("prompts", ()))
            describers.update(table.get("describers", ()))
    return [one for work, names in tables.items() for one in read_provenance(work, *names)]


def view_situation(
    comparison: Comparison,
    situation: Situation,
    look_inside: bool = True,
    layout: Layout = "pca",
    device: str = "auto",
) -> View:
    """Gathers what there is to show."""
    colours, main = choose_colours(comparison), situation.main_arm(comparison.baseline)
    view = View(situation, main, colours, draw_curves(situation, colours))
    baseline = situation.arms.get(comparison.baseline)
    if baseline is None or main is None:
        return view
    try:
        sides = _load_pair(baseline, main)
    except RunError as error:
        return replace(view, notes=(f"{situation.name}: {error}",))
    manifest, notes = load_manifest(main.runs[0].path), list[str]()
    inside = _look(comparison, (baseline, main), sides, notes, layout, device) if look_inside else None
    return replace(
        view,
        calibration=draw_calibration({baseline.name: sides[0], main.name: sides[1]}, colours),
        gains=compute_class_gains(*sides, comparison.classes or manifest.classes),
        inside=inside,
        manifest=manifest,
        notes=tuple(notes + (inside.notes if inside else [])),
    )


def _load_pair(baseline: Arm, arm: Arm) -> tuple[list[Predictions], list[Predictions]]:
    """Predictions of the seeds that both arms have, about the same images.

    Raises:
        RunError: a run has none, or they do not match.
    """
    theirs = {run.seed: run for run in arm.runs}
    pairs = [(run, theirs[run.seed]) for run in baseline.runs if run.seed in theirs]
    if not pairs:
        raise RunError(f"{arm.name} and {baseline.name} share no seed")
    loaded = [(load_predictions(one.path), load_predictions(other.path)) for one, other in pairs]
    if any(one.digests != loaded[0][0].digests for pair in loaded for one in pair):
        raise RunError(f"{arm.name} and {baseline.name} were evaluated on different images")
    return [one for one, _ in loaded], [other for _, other in loaded]


def _look(
    comparison: Comparison,
    arms: tuple[Arm, Arm],
    sides: tuple[list[Predictions], list[Predictions]],
    notes: list[str],
    layout: Layout,
    device: str,
) -> Inside | None:
    pictures = open_pictures(comparison.test_images, comparison.folder)
    if pictures is None or not set(sides[0][0].digests) & pictures.index.keys():
        notes.append(f"The test images ({comparison.test_images}) were not found, so no examples are shown.")
        return None
    try:
        return Inspector(comparison, arms, sides, pictures, layout, device).look()
    except Gpt4ImageError as error:
        notes.append(f"Examples and maps are missing: {error}")
        return None

"""`gpt4image label-errors`: labels to check, most doubtful first, and images that contradict each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.errors import check_least
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.label.artifact import LabelTable
    from gpt4image.report.labels.doubts import Doubts
    from gpt4image.report.labels.image_label import ImageLabel


@dataclass(frozen=True)
class LabelErrorsSettings:
    """List labels to check, most doubtful first, and same pictures with different labels.

    Attributes:
        work: work folder with labels.
        name: of the labels in WORK/labels
        csv: write all labels, and what else was found, to this file.
        page: write the images to this HTML file, which needs no other file.
        top: how many of each list are shown, in the terminal and on the page.
        images: the images labelled, if they are no longer where they were; needed for the page and near-duplicates.
    """

    work: Path
    name: str = "default"
    csv: Path | None = None
    page: Path | None = None
    top: int = 20
    images: str | None = None

    def __post_init__(self) -> None:
        check_least(self, top=1)


@dataclass(frozen=True)
class LabelErrorsResult(StageResult):
    """The labels to check.

    Attributes:
        found: the `top` most doubtful labels.
        num_ranked: given labels that are ranked, overruled or not.
        num_overruled: of them, those that something else is more probable than.
        num_by_person: labels that a person has looked at; they are not ranked.
        same_bytes: keys and labels of images with the same bytes and several labels.
        near_duplicates: pairs of images with different labels that are all but the same, with their cosine.
        threshold: cosine from which a pair counts, None if features were not compared.
        no_class: keys of images that are of none of the classes, the most probable first.
        skipped: what was not looked for, and why.
        csv: the file of all, if one was written.
        page: the HTML page, if one was written.
    """

    found: tuple["ImageLabel", ...]
    num_ranked: int
    num_overruled: int
    num_by_person: int
    same_bytes: tuple[tuple[tuple[str, str], ...], ...]
    near_duplicates: tuple[tuple[tuple[str, str], tuple[str, str], float], ...]
    threshold: float | None
    no_class: tuple[str, ...]
    skipped: tuple[str, ...]
    csv: Path | None
    page: Path | None

    def lines(self) -> Iterator[Any]:
        if self.found:
            yield _make_table(self.found)
        yield f"{self.num_ranked:,} given labels, most doubtful first; {self.num_overruled:,} are overruled"
        if self.num_by_person:
            yield f"{self.num_by_person:,} labels were looked at by a person and are not ranked"
        yield f"{len(self.same_bytes):,} pictures lie in several classes with the same bytes"
        most = len(self.found) or 20
        yield from (" = ".join(map(_call, copies)) for copies in self.same_bytes[:most])
        if self.threshold is not None:
            count = f"{len(self.near_duplicates):,} pairs of different labels are all but the same picture"
            yield f"{count} (cosine of at least {self.threshold:.3f})"
            yield from (f"{_call(a)} ~ {_call(b)} {cosine:.3f}" for a, b, cosine in self.near_duplicates[:most])
        yield f"{len(self.no_class):,} images are of none of the classes, or of one that cannot be told"
        yield from self.no_class[:most]
        yield from (f"not looked for: {line}" for line in self.skipped)
        yield from (f"{name}: {path}" for name, path in (("CSV", self.csv), ("page", self.page)) if path is not None)


def find_label_errors(settings: LabelErrorsSettings) -> LabelErrorsResult:
    """Ranks the given labels by how doubtful they are; trains nothing.

    Raises:
        LabelError: there are no labels of that name, or the images have changed since.
        ImageSetError: a page was asked for, and the images cannot be opened.
    """
    from gpt4image.label.artifact import LabelTable
    from gpt4image.report.labels.doubts import find_doubts
    from gpt4image.report.labels.image_label import read_image_labels

    table = LabelTable.open(settings.work, settings.name)
    doubts = find_doubts(table, settings.images)
    called = table.rows.select(["key", "given"]).to_pylist()
    names = [(row["key"], row["given"] or "") for row in called]
    if settings.csv is not None:
        _write_csv(settings.csv, table, doubts)
    if settings.page is not None:
        from gpt4image.report.labels.doubts_page import write_doubts_page

        write_doubts_page(settings.page, table, doubts, settings.images, settings.top)
    return LabelErrorsResult(
        found=tuple(read_image_labels(table, doubts.ranked[: settings.top])),
        num_ranked=len(doubts.ranked),
        num_overruled=doubts.num_overruled,
        num_by_person=doubts.num_by_person,
        same_bytes=tuple(tuple(names[row] for row in copies) for copies in doubts.same_bytes),
        near_duplicates=tuple((names[a], names[b], cosine) for a, b, cosine in doubts.near_duplicates),
        threshold=doubts.threshold,
        no_class=tuple(names[row][0] for row in doubts.no_class),
        skipped=tuple(doubts.skipped),
        csv=settings.csv,
        page=settings.page,
    )


def _call(name: tuple[str, str]) -> str:
    key, given = name
    return f"{key} ({given})"


def _make_table(found: Sequence["ImageLabel"]) -> Any:
    from rich.table import Table

    table = Table("", "image", "given", "proposed", "doubt", "state", "witnesses say")
    for column in (0, 4):
        table.columns[column].justify = "right"
    for rank, one in enumerate(found, 1):
        named = dict.fromkeys(said.class_name for said in one.opinions)
        sure = [(said.class_name, f"{said.witness.partition(' (')[0]} {said.sure:.2f}") for said in one.opinions]
        says = "; ".join(f"{name}: {', '.join(who for said, who in sure if said == name)}" for name in named)
        proposed = f"{one.proposed} {one.confidence:.2f}" if one.proposed else ""
        doubt = "" if one.doubt is None else f"{one.doubt:+.1f}"
        table.add_row(str(rank), one.key, one.given, proposed, doubt, one.state, says)
    return table


def _write_csv(path: Path, table: "LabelTable", doubts: "Doubts") -> None:
    """One row a finding: every ranked label, then what contradicts itself; `other` names what it was compared with."""
    import numpy as np

    from gpt4image.files import write_csv
    from gpt4image.report.labels.texts import read_texts

    witnesses = [column for name in table.manifest["witnesses"] for column in (name, f"{name} sure")]
    columns = ["key", "digest", "given", "proposed", "confidence", "state", "doubt", "none", *witnesses]
    texts = read_texts(table.folder.parent.parent, None)
    keys = table.rows["key"].to_pylist()
    copies = [(row, [keys[other] for other in one if other != row]) for one in doubts.same_bytes for row in one]
    pairs = [pair for a, b, _ in doubts.near_duplicates for pair in ((a, keys[b]), (b, keys[a]))]
    found = [
        *(("label", row, "") for row in doubts.ranked.tolist()),
        *(("same bytes", row, " ".join(others)) for row, others in copies),
        *(("near-duplicate", row, other) for row, other in pairs),
        *(("no class", row, "") for row in doubts.no_class.tolist()),
    ]
    taken = table.rows.select(columns).take(np.array([row for _, row, _ in found], dtype=np.int64)).to_pylist()
    body = (
        [finding, *row.values(), other, "\n".join(texts.get(row["digest"], ()))]
        for (finding, _, other), row in zip(found, taken, strict=True)
    )
    write_csv(path, [["finding", *columns, "other", "texts"], *body])

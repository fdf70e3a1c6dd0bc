"""`gpt4image lint`: what is wrong with the descriptions of a store, and what mends it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gpt4image.errors import DescriptionError, SettingsError
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.describe.lint.finding import Finding, Texts
    from gpt4image.describe.store import DescriptionStore

MOST_TEXTS = 100_000
"""More are examined by a sample; the order of digests is as good as random."""


@dataclass(frozen=True)
class LintSettings:
    """Says what is wrong with the descriptions in WORK/descriptions.sqlite.

    Attributes:
        work: the work folder.
        prompt: only this prompt's descriptions.
        describer: only this describer's.
        encoder: the text encoder whose limit the lengths are held against.
        strip_boilerplate: cut openings such as "The image shows" off the stored texts.
        requeue: checks whose descriptions are removed from the store, to be asked for again.
    """

    work: Path
    prompt: str | None = None
    describer: str | None = None
    encoder: Literal["minilm", "open_clip"] = "minilm"
    strip_boilerplate: bool = False
    requeue: tuple[str, ...] = ()


@dataclass(frozen=True)
class LintResult(StageResult):
    """What was found.

    Attributes:
        descriptions: number examined.
        findings: one a check.
        stripped: texts whose opening was cut.
        requeued: descriptions removed.
    """

    descriptions: int
    findings: "tuple[Finding, ...]"
    stripped: int = 0
    requeued: int = 0

    def lines(self) -> Iterator[Any]:
        from rich.table import Table

        table = Table("", "check", "finding", box=None, header_style="bold", show_header=False, pad_edge=False)
        for finding in self.findings:
            table.add_row("!" if finding.is_bad else "✓", finding.check, finding.words)
            for example in finding.examples:
                table.add_row("", "", f"  {example}", style="dim")
            if finding.remedy:
                table.add_row("", "", f"→ {finding.remedy}", style="bold")
        yield f"{self.descriptions:,} descriptions"
        yield table
        bad = [finding.check for finding in self.findings if finding.is_bad]
        yield f"to look at: {', '.join(bad)}" if bad else "nothing to complain about"
        if self.stripped:
            yield f"{self.stripped:,} openings cut"
        if self.requeued:
            yield f"{self.requeued:,} descriptions removed; describe again to get new ones"

    def to_json(self) -> str:
        return replace(self, findings=tuple(replace(finding, rows=()) for finding in self.findings))._json()

    def _json(self) -> str:
        return super().to_json()


def lint(settings: LintSettings) -> LintResult:
    """Runs every check over the `ok` descriptions, and mends what `settings` asks for.

    Raises:
        DescriptionError: there are no descriptions.
        SettingsError: a check is unknown.
    """
    from gpt4image.describe.store import DescriptionStore

    with DescriptionStore.open(settings.work) as store:
        texts = _read(store, settings)
        findings = tuple(run_checks(texts, settings.encoder))
        _refuse_unknown(settings.requeue, findings)
        stripped = _strip(store, texts) if settings.strip_boilerplate else 0
        chosen = [row for finding in findings if finding.check in settings.requeue for row in finding.rows]
        store.remove(chosen)
        return LintResult(len(texts.rows), findings, stripped, len(chosen))


def run_checks(texts: "Texts", encoder: str) -> "Iterator[Finding]":
    """Yields the finding of each check."""
    from gpt4image.describe.lint import coverage, duplicates, failures, language, leakage, length, openings, separation

    yield failures.check_failures(texts)
    yield failures.check_evasions(texts)
    yield openings.check_openings(texts)
    yield duplicates.check_duplicates(texts)
    yield leakage.check_leakage(texts)
    yield leakage.check_other_classes(texts)
    yield language.check_language(texts)
    yield length.check_length(texts, length.LIMITS[encoder])
    yield coverage.check_coverage(texts)
    yield separation.check_separation(texts)


def _read(store: "DescriptionStore", settings: LintSettings) -> "Texts":
    from gpt4image.describe.lint.finding import Texts

    rows = list(islice(store.ok_descriptions(settings.prompt, settings.describer), MOST_TEXTS))
    if not rows:
        raise DescriptionError(
            f"{store.path} has no ok descriptions of this prompt and describer; "
            f"it has {store.prompts() or 'none at all'}"
        )
    states = {str(state): number for state, number in store.counts(settings.prompt, settings.describer).items()}
    last = rows[-1].digest
    images = {image.digest: image for image in store.images() if len(rows) < MOST_TEXTS or image.digest <= last}
    return Texts(rows, images, states)


def _refuse_unknown(requeue: tuple[str, ...], findings: "tuple[Finding, ...]") -> None:
    names = [finding.check for finding in findings]
    for name in requeue:
        if name not in names:
            raise SettingsError(f"--requeue {name} is no check; choose from {', '.join(names)}")


def _strip(store: "DescriptionStore", texts: "Texts") -> int:
    from gpt4image.describe.lint.openings import strip_boilerplate

    changed = [replace(row, text=text) for row in texts.rows if (text := strip_boilerplate(row.text)) != row.text]
    store.write(changed)
    return len(changed)

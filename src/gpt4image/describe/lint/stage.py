"""`gpt4image lint`: what is wrong with the descriptions of a store, and what mends it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gpt4image.describe.prompts.pick_names import split_answers
from gpt4image.describe.prompts.prompt_names import find_prompts
from gpt4image.errors import DescriptionError, SettingsError
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.describe.lint.finding import Finding, Texts
    from gpt4image.describe.store.rows import Description
    from gpt4image.describe.store.store import DescriptionStore

MOST_TEXTS = 100_000
"""More are examined by a sample; the order of digests is as good as random."""


@dataclass(frozen=True)
class LintSettings:
    """Says what is wrong with the descriptions in WORK/descriptions.sqlite.

    Attributes:
        work: the work folder.
        prompt: only this prompt's answers; all descriptions, but no picks, if not given.
        describer: only this describer's.
        encoder: the text encoder whose limit the lengths are held against, as for gpt4image embed.
        strip_boilerplate: cut openings such as "The image shows" off the stored texts; the store keeps the originals.
        requeue: checks whose descriptions are taken out of the store, to be asked for again.
        undo: put back what --strip-boilerplate (strip) or --requeue (requeue) changed.
    """

    work: Path
    prompt: str | None = None
    describer: str | None = None
    encoder: str = "minilm"
    strip_boilerplate: bool = False
    requeue: tuple[str, ...] = ()
    undo: Literal["strip", "requeue"] | None = None


@dataclass(frozen=True)
class LintResult(StageResult):
    """What was found.

    Attributes:
        descriptions: number examined.
        findings: one a check.
        stripped: texts whose opening was cut.
        requeued: descriptions taken out.
        undone: descriptions put back.
        work: the work folder, for the way back.
    """

    descriptions: int
    findings: "tuple[Finding, ...]"
    stripped: int = 0
    requeued: int = 0
    undone: int = 0
    work: Path | None = None

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
            yield f"{self.stripped:,} openings cut; undo: gpt4image lint {self.work} --undo strip"
        if self.requeued:
            yield f"{self.requeued:,} descriptions taken out; describe again to get new ones, or put them back with"
            yield f"gpt4image lint {self.work} --undo requeue"
        if self.undone:
            yield f"{self.undone:,} descriptions are again what they were"

    def to_json(self) -> str:
        short = replace(self, findings=tuple(replace(finding, rows=()) for finding in self.findings))
        return StageResult.to_json(short)


def lint(settings: LintSettings) -> LintResult:
    """Runs every check over the `ok` descriptions, and mends what `settings` asks for.

    Raises:
        DescriptionError: there are no descriptions.
        SettingsError: a check is unknown.
    """
    from gpt4image.describe.lint.openings import strip_boilerplate
    from gpt4image.describe.lint.two_classes import check_two_classes
    from gpt4image.describe.store.edits import LINT, Editor
    from gpt4image.describe.store.store import DescriptionStore

    editor = Editor(settings.work, LINT)
    undone = editor.undo_all(settings.undo) if settings.undo else 0
    with DescriptionStore.open(settings.work) as store:
        texts = _read(store, settings)
        conflicts = store.conflicts()
        doubtful = [check_two_classes(conflicts, len(texts.images))] if conflicts else []
        findings = (*run_checks(texts, settings.encoder), *doubtful)
        names = [finding.check for finding in findings]
        for name in set(settings.requeue) - set(names):
            raise SettingsError(f"--requeue {name} is no check; choose from {', '.join(names)}")
        stripped = 0
        if settings.strip_boilerplate:
            # Of all texts, not only of those examined.
            texts_of_all = ((row, strip_boilerplate(row.text)) for row in _descriptions(store, settings))
            cut = ((row, replace(row, text=text, author=LINT)) for row, text in texts_of_all if text != row.text)
            stripped = editor.change_all("strip", cut)
    chosen = {row.name: row for finding in findings if finding.check in settings.requeue for row in finding.rows}
    requeued = editor.change_all("requeue", ((row, None) for row in chosen.values()))
    return LintResult(len(texts.rows), findings, stripped, requeued, undone, settings.work)


def run_checks(texts: "Texts", encoder: str) -> "Iterator[Finding]":
    """Yields the finding of each check."""
    from gpt4image.describe.lint import coverage, duplicates, failures, language, leakage, length, openings, separation
    from gpt4image.describe.lint.token_counts import load_token_counter

    counter = load_token_counter(encoder)
    yield failures.check_failures(texts)
    yield failures.check_evasions(texts)
    yield openings.check_openings(texts)
    yield duplicates.check_duplicates(texts)
    yield leakage.check_leakage(texts)
    yield leakage.check_other_classes(texts)
    yield language.check_language(texts)
    yield length.check_length(texts, counter)
    yield coverage.check_coverage(texts)
    yield from separation.check_reader(texts)


def _read(store: "DescriptionStore", settings: LintSettings) -> "Texts":
    from gpt4image.describe.lint.finding import Texts

    rows = list(islice(_descriptions(store, settings), MOST_TEXTS))
    if not rows:
        raise DescriptionError(
            f"{store.path} has no ok descriptions of this prompt and describer; "
            f"it has {store.prompts() or 'none at all'}"
        )
    states: Counter[str] = Counter()
    for prompt in _prompts(store, settings):
        states += Counter({str(state): n for state, n in store.counts(prompt, settings.describer).items()})
    last = rows[-1].digest
    images = {image.digest: image for image in store.images() if len(rows) < MOST_TEXTS or image.digest <= last}
    errors = store.worst_errors(_prompts(store, settings), settings.describer)
    return Texts(rows, images, states, {str(state): error for state, error in errors.items()})


def _prompts(store: "DescriptionStore", settings: LintSettings) -> list[str]:
    """The prompts that are examined: those wanted, else all whose answers are descriptions."""
    known = list(store.prompts())
    return split_answers(known)[1] if settings.prompt is None else find_prompts(settings.prompt, known)


def _descriptions(store: "DescriptionStore", settings: LintSettings) -> "Iterator[Description]":
    prompts = set(_prompts(store, settings))
    only = next(iter(prompts)) if len(prompts) == 1 else None
    return (row for row in store.ok_descriptions(only, settings.describer) if row.prompt in prompts)

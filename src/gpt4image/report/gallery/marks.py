"""What the checks of `gpt4image lint` say about single descriptions, to filter by."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from gpt4image.describe.lint.finding import Finding, Texts
from gpt4image.describe.prompts.pick_names import is_answer
from gpt4image.describe.store.rows import DescribedImage, Description, Name
from gpt4image.describe.store.states import State

EDITED = "edited"


def find_marks(
    descriptions: Sequence[Description], images: Mapping[str, DescribedImage]
) -> dict[Name, tuple[str, ...]]:
    """Names of the checks that each `ok` description fails; those that fail none are left out."""
    marks: dict[Name, list[str]] = defaultdict(list)
    by_prompt: dict[tuple[str, str], list[Description]] = defaultdict(list)
    for description in descriptions:
        if description.state == State.OK and not is_answer(description.prompt):
            by_prompt[description.prompt, description.describer].append(description)
    for rows in by_prompt.values():
        for check in _checks():
            finding = check(Texts(rows, images, {}))
            for row in finding.rows:
                marks[row.name].append(finding.check)
    return {name: tuple(found) for name, found in marks.items()}


def _checks() -> list[Callable[[Texts], Finding]]:
    """The checks that are about single texts."""
    from gpt4image.describe.lint import duplicates, failures, language, leakage, length, openings
    from gpt4image.describe.lint.token_counts import load_token_counter

    return [
        failures.check_evasions,
        openings.check_openings,
        duplicates.check_duplicates,
        leakage.check_leakage,
        leakage.check_other_classes,
        language.check_language,
        lambda texts: length.check_length(texts, load_token_counter("minilm")),
    ]

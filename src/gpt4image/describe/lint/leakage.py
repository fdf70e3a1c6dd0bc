"""Label leakage: texts that name their class, and texts that say another one."""

import re
from collections.abc import Sequence
from typing import Any

from gpt4image.describe.lint.class_words import ClassWords, class_pattern
from gpt4image.describe.lint.finding import Finding, Texts, share, shorten
from gpt4image.describe.store.rows import Description

NUM_EXAMPLES = 3
MOSTLY_LABELS, MANY_MISTAKEN = 0.5, 0.1
WHAT_IT_IS = re.compile(r".+?(?=\bwith\b|[.;!\n]|$)", re.DOTALL)
"""What a text says the image is, before what that has or stands beside."""


def check_leakage(texts: Texts) -> Finding:
    """Counts the texts that name their own class. The name alone teaches less than a description does."""
    labelled = texts.labelled()
    matches = ((row, name, class_pattern(name).search(row.text)) for row, name in labelled)
    found = [(row, name, match) for row, name, match in matches if match]
    words = f"{share(len(found), len(labelled))} name their image's class"
    remedy = "--prompt attributes leaves the class out; compare both with gpt4image compare"
    examples = [_example(texts, *case) for case in _of_different_classes(found)]
    is_bad = len(found) > MOSTLY_LABELS * len(labelled)
    return texts.find("label leakage", [row for row, *_ in found], words, is_bad, remedy, examples, len(labelled))


def check_other_classes(texts: Texts) -> Finding:
    """Counts the texts that say the image is of another class: its label, or the model, may be mistaken."""
    labelled = texts.labelled()
    classes = ClassWords({name for _, name in labelled})
    # A text that names its own class is right about it, whatever else it names.
    others = (
        (row, own, WHAT_IT_IS.match(row.text)) for row, own in labelled if not class_pattern(own).search(row.text)
    )
    found = [(row, own, *other) for row, own, said in others if said and (other := classes.first_thing(said[0]))]
    words = f"{share(len(found), len(labelled))} say that the image is of another class"
    remedy = "gpt4image gallery WORK shows whether label or text is wrong; --prompt class_detailed tells the class"
    examples = [f"{_example(texts, row, *said)} (labelled {own})" for row, own, *said in _of_different_classes(found)]
    is_bad = len(found) > MANY_MISTAKEN * len(labelled)
    return texts.find("other classes", [row for row, *_ in found], words, is_bad, remedy, examples, len(labelled))


def _of_different_classes(found: Sequence[Any]) -> list[Any]:
    """The first cases, of three classes if there are as many."""
    first = {case[1]: case for case in reversed(found)}
    return list(first.values())[-NUM_EXAMPLES:]


def _example(texts: Texts, row: Description, name: str, match: re.Match[str]) -> str:
    start = max(match.start() - 30, 0)
    return f"{texts.key_of(row)} names {name}: {'…' * (start > 0)}{shorten(row.text[start:], 60)}"

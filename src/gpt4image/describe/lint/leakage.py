"""Label leakage: texts that name their class, and texts that name another one."""

import re

from gpt4image.describe.lint.finding import Finding, Texts, share, shorten
from gpt4image.describe.store import Description

MOSTLY_LABELS, MANY_MISTAKEN = 0.5, 0.1


def check_leakage(texts: Texts) -> Finding:
    """Counts the texts that name their own class. The name alone teaches less than a description does."""
    labelled, patterns = _labelled(texts), _patterns(texts)
    found = [(row, name) for row, name in labelled if patterns[name].search(row.text)]
    is_bad = len(found) > MOSTLY_LABELS * len(labelled)
    return Finding(
        check="label leakage",
        count=len(found),
        total=len(labelled),
        words=f"{share(len(found), len(labelled))} name their image's class",
        is_bad=is_bad,
        remedy="--prompt attributes leaves the class out; compare both with gpt4image compare" if is_bad else "",
        examples=[_example(texts, row, name) for row, name in found[:3]],
        rows=[row for row, _ in found],
    )


def check_other_classes(texts: Texts) -> Finding:
    """Counts the texts that name another class and not their own: the model may have mistaken the image."""
    labelled, patterns = _labelled(texts), _patterns(texts)
    named = ((row, _other_class(row, own, patterns)) for row, own in labelled)
    found = [(row, name) for row, name in named if name]
    is_bad = len(found) > MANY_MISTAKEN * len(labelled)
    return Finding(
        check="other classes",
        count=len(found),
        total=len(labelled),
        words=f"{share(len(found), len(labelled))} name another class and not their own",
        is_bad=is_bad,
        remedy="--prompt class_detailed tells the class; or --requeue 'other classes'" if is_bad else "",
        examples=[_example(texts, row, name) for row, name in found[:3]],
        rows=[row for row, _ in found],
    )


def _labelled(texts: Texts) -> list[tuple[Description, str]]:
    return [(row, name) for row in texts.rows if (name := texts.class_of(row))]


def _other_class(row: Description, own: str, patterns: dict[str, re.Pattern[str]]) -> str:
    """The first other class the text names, empty if it names its own or none."""
    if patterns[own].search(row.text):
        return ""
    return next((name for name, pattern in patterns.items() if pattern.search(row.text)), "")


def _patterns(texts: Texts) -> dict[str, re.Pattern[str]]:
    names = {image.class_name for image in texts.images.values() if image.class_name}
    return {name: class_pattern(name) for name in sorted(names)}


def class_pattern(name: str) -> re.Pattern[str]:
    """Finds a class name as a word, one or many of it; `T-shirt/top` is named by either part."""
    parts = [re.split(r"[\s_-]+", part) for part in re.split(r"[/,]", name.lower()) if part.strip()]
    forms = (r"[\s_-]*".join(map(re.escape, words)) for words in parts)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(_singular, forms))})(?:e?s)?(?![\w-])", re.IGNORECASE)


def _singular(form: str) -> str:
    return form[:-1] if form.endswith("s") and not form.endswith("ss") and len(form) > 3 else form


def _example(texts: Texts, row: Description, name: str) -> str:
    match = class_pattern(name).search(row.text)
    start = max(match.start() - 30, 0) if match else 0
    return f"{texts.key_of(row)} names {name}: {'…' * (start > 0)}{shorten(row.text[start:], 60)}"

"""Coverage: which classes lack descriptions."""

from collections import Counter

from gpt4image.describe.lint.finding import Finding, Texts, share

ENOUGH = 0.95


def check_coverage(texts: Texts) -> Finding:
    """Counts the images without any `ok` description, by class."""
    described = {row.digest for row in texts.rows}
    named = [(image.class_name or "(no class)", image.digest in described) for image in texts.images.values()]
    total, missing = Counter(name for name, _ in named), Counter(name for name, is_there in named if not is_there)
    thin = [name for name in total if missing[name] > (1 - ENOUGH) * total[name]]
    thin.sort(key=lambda name: -missing[name] / total[name])
    words = f"{share(missing.total(), len(named))} of the images have no description"
    return Finding(
        check="coverage",
        count=missing.total(),
        total=len(named),
        words=words + (f"; {len(thin)} of {len(total)} classes have too few" if thin else ""),
        is_bad=bool(thin),
        remedy="gpt4image describe IMAGES WORK (with the same --prompt)",
        examples=[f"{name}: {total[name] - missing[name]} of {total[name]}" for name in thin[:5]],
    )

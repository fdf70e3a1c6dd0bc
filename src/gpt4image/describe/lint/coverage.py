"""Coverage: which classes lack descriptions."""

from collections import Counter

from gpt4image.describe.lint.finding import Finding, Texts, share

ENOUGH = 0.95


def check_coverage(texts: Texts) -> Finding:
    """Counts the images without any `ok` description, by class."""
    described = {row.digest for row in texts.rows}
    all_images = Counter(image.class_name or "(no class)" for image in texts.images.values())
    missing = Counter(
        image.class_name or "(no class)" for image in texts.images.values() if image.digest not in described
    )
    thin = [name for name, number in all_images.items() if missing[name] > (1 - ENOUGH) * number]
    thin.sort(key=lambda name: -missing[name] / all_images[name])
    num_missing = missing.total()
    words = f"{share(num_missing, len(texts.images))} of the images have no description"
    return Finding(
        check="coverage",
        count=num_missing,
        total=len(texts.images),
        words=words + (f"; {len(thin)} of {len(all_images)} classes have too few" if thin else ""),
        is_bad=bool(thin),
        remedy="gpt4image describe IMAGES WORK (with the same --prompt)" if thin else "",
        examples=[f"{name}: {all_images[name] - missing[name]} of {all_images[name]}" for name in thin[:5]],
    )

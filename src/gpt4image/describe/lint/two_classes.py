"""Pictures that lie in several classes: whatever is said of them is wrong for one of their copies."""

from collections import defaultdict
from collections.abc import Iterable

from gpt4image.describe.lint.finding import Finding
from gpt4image.describe.store.rows import DescribedImage


def check_two_classes(copies: Iterable[DescribedImage], num_images: int) -> Finding:
    """Lists the pictures of which the last image set that was described had copies in several classes."""
    keys: dict[str, list[str]] = defaultdict(list)
    for copy in copies:
        keys[copy.digest].append(f"{copy.key} ({copy.class_name})")
    noun = "picture lies" if len(keys) == 1 else "pictures lie"
    return Finding(
        check="two classes",
        count=len(keys),
        total=num_images,
        words=f"{len(keys):,} {noun} in several classes",
        is_bad=True,
        remedy="keep one copy of each, in the right class, and describe again",
        examples=[" and ".join(names) for names in list(keys.values())[:5]],
    )

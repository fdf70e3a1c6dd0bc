"""The descriptions of images, to be read beside their labels."""

from collections.abc import Collection
from pathlib import Path


def read_texts(work: Path, digests: Collection[str] | None) -> dict[str, list[str]]:
    """Descriptions fit for use by digest; none if the work folder has no store.

    Args:
        work: the work folder.
        digests: of the images; all if None.
    """
    from gpt4image.describe.store.connect import FILE_NAME
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.label.witnesses.prompts import choose_prompts

    texts: dict[str, list[str]] = {}
    if not (work / FILE_NAME).exists():
        return texts
    prompts, _ = choose_prompts(work, None, None)
    with DescriptionStore.open(work) as store:
        for digest, _, _, _, _, text in store.ok_texts(prompts):
            if digests is None or digest in digests:
                texts.setdefault(digest, []).append(text)
    return texts

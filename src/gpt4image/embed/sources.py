"""The texts to embed, as one Arrow table."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpt4image.describe.store import Description, DescriptionStore
from gpt4image.embed.prompt_names import match_prompts
from gpt4image.errors import DescriptionError


def read_texts(work: Path, prompts: Sequence[str], describer: str | None) -> Any:
    """Reads all `ok` descriptions.

    Returns:
        pyarrow Table ordered by digest, prompt, describer, sample: these four, key, text and text_hash
        (first 16 hex digits of the text's SHA-256).

    Raises:
        DescriptionError: a prompt has no `ok` description, or there are none at all.
    """
    import pyarrow as pa

    with DescriptionStore.open(work) as store:
        counts = {name: count for name, count in store.prompts().items() if count}
        if not counts:
            raise DescriptionError(f"{work} holds no ok descriptions yet; run gpt4image describe first")
        prompts = match_prompts(prompts, counts, work)
        keys = {image.digest: image.key for image in store.images()}
        wanted: Sequence[str | None] = prompts or [None]
        found = [row for prompt in wanted for row in store.ok_descriptions(prompt, describer)]
    if not found:
        raise DescriptionError(f"{work} holds no ok descriptions by {describer!r}; see gpt4image describe")
    found.sort(key=lambda row: (row.digest, row.prompt, row.describer, row.sample))
    return pa.table(
        {
            "digest": [row.digest for row in found],
            "prompt": pa.array([row.prompt for row in found]).dictionary_encode(),
            "describer": pa.array([row.describer for row in found]).dictionary_encode(),
            "sample": pa.array([row.sample for row in found], pa.int32()),
            "key": [keys.get(row.digest, "") for row in found],
            "text": [row.text for row in found],
            "text_hash": [_hash(row) for row in found],
        }
    )


def read_class_names(work: Path) -> list[str]:
    """Sorted names of the classes that described images had."""
    with DescriptionStore.open(work) as store:
        return sorted({image.class_name for image in store.images() if image.class_name})


def _hash(row: Description) -> str:
    return hashlib.sha256(row.text.encode()).hexdigest()[:16]

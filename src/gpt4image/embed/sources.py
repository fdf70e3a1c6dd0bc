"""The texts to embed, as one Arrow table."""

import hashlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from gpt4image.describe.prompts.pick_names import split_answers
from gpt4image.describe.prompts.prompt_names import match_prompts
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import DescriptionError

BATCH_SIZE = 20_000
"""Rows that are Python objects at a time."""


def read_texts(work: Path, prompts: Sequence[str], describer: str | None) -> Any:
    """Reads all `ok` descriptions.

    Args:
        work: the work folder.
        prompts: whose answers; without any, all but picks and what stands beside them.
        describer: whose, None for all.

    Returns:
        pyarrow Table ordered by digest, prompt, describer, sample: these four, key, text and text_hash
        (first 16 hex digits of the text's SHA-256).

    Raises:
        DescriptionError: a prompt has no `ok` description, or there are none at all, or only picks.
    """
    import pyarrow as pa

    with DescriptionStore.open(work) as store:
        counts = {name: count for name, count in store.prompts().items() if count}
        if not counts:
            raise DescriptionError(f"{work} holds no ok descriptions yet; run gpt4image describe first")
        meant = match_prompts(prompts, counts, work) if prompts else split_answers(counts)[1]
        if not meant:
            raise DescriptionError(
                f"{work} holds no descriptions, only picks of classes ({', '.join(counts)}); ask for descriptions, "
                f"such as --prompt describe_and_pick, or name what shall be embedded: --prompt {next(iter(counts))}"
            )
        rows = store.ok_texts(meant, describer)
        batches = []
        while batch := list(islice(rows, BATCH_SIZE)):
            digests, stored, describers, samples, keys, texts = zip(*batch, strict=True)
            columns = {
                "digest": pa.array(digests),
                "prompt": pa.array(stored).dictionary_encode(),
                "describer": pa.array(describers).dictionary_encode(),
                "sample": pa.array(samples, pa.int32()),
                "key": pa.array(keys),
                # A million long descriptions are more than the 2 GB of a plain string column.
                "text": pa.array(texts, pa.large_string()),
                "text_hash": pa.array([hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]),
            }
            batches.append(pa.record_batch(columns))
    if not batches:
        raise DescriptionError(f"{work} holds no ok descriptions by {describer!r}; see gpt4image describe")
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()

"""What describing the rest would cost, by what the pilot's descriptions took."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpt4image.describe.asking.cost import Prices

if TYPE_CHECKING:
    from gpt4image.describe.store.store import DescriptionStore


@dataclass(frozen=True)
class Remaining:
    """One prompt by one describer.

    Attributes:
        prompt: the prompt's name.
        describer: who wrote.
        described: images of the set with a usable description.
        missing: readable images without.
        measured: descriptions whose tokens are known; 0 for texts that were not written here.
        tokens_in: tokens that the missing ones would read, None if not measured.
        tokens_out: and write.
        usd: what that would cost, None without prices or tokens.
    """

    prompt: str
    describer: str
    described: int
    missing: int
    measured: int
    tokens_in: int | None
    tokens_out: int | None
    usd: float | None


def estimate_rest(store: "DescriptionStore", rows: Any, digests: set[str], prices: Prices) -> Iterator[Remaining]:
    """One entry for each prompt and describer.

    Args:
        store: of the work folder.
        rows: pyarrow Table of the texts, with the columns digest, prompt and describer.
        digests: of the readable images.
        prices: of a million tokens.
    """
    described = rows.group_by(["prompt", "describer"]).aggregate([("digest", "distinct")]).to_pylist()
    for prompt, describer, own in sorted(tuple(one.values()) for one in described):
        usage, missing = store.usage(prompt, describer), len(digests.difference(own))
        tokens_in = tokens_out = usd = None
        if usage.measured:
            tokens_in, tokens_out = round(missing * usage.tokens_in), round(missing * usage.tokens_out)
            usd = prices.usd(missing * usage.tokens_in, missing * usage.tokens_out) if prices.known else None
        counts = len(digests) - missing, missing, usage.measured
        yield Remaining(prompt, describer, *counts, tokens_in, tokens_out, usd)

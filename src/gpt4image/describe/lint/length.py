"""Length against what the text encoder reads; what is longer is cut off there."""

import numpy as np

from gpt4image.describe.lint.finding import Finding, Texts, share, shorten
from gpt4image.describe.lint.token_counts import TokenCounter

FEWEST_WORDS = 3


def check_length(texts: Texts, counter: TokenCounter) -> Finding:
    """Counts texts of more tokens than the encoder reads, and texts of hardly any words."""
    counts = counter.count([row.text for row in texts.rows])
    words = [len(row.text.split()) for row in texts.rows]
    long = [row for row, count in zip(texts.rows, counts, strict=True) if count > counter.limit]
    short = [row for row, count in zip(texts.rows, words, strict=True) if count < FEWEST_WORDS]
    is_bad = len(long) > 0.01 * len(texts.rows) or len(short) > 0.05 * len(texts.rows)
    estimated = "" if counter.tokenizer else f" (estimated: {counter.encoder} is not on this machine)"
    return Finding(
        check="length",
        count=len(long) + len(short),
        total=len(texts.rows),
        words=f"{np.median(words or [0]):.0f} words at the median; {max(counts, default=0)} tokens at most, "
        f"{share(len(long), len(texts.rows))} exceed the {counter.limit} that {counter.encoder} reads{estimated}; "
        f"{share(len(short), len(texts.rows))} have fewer than {FEWEST_WORDS} words",
        is_bad=is_bad,
        remedy="a shorter prompt (--prompt attributes), or an encoder that reads more" if is_bad else "",
        examples=[f"{texts.key_of(row)}: {shorten(row.text)}" for row in (long + short)[:3]],
        rows=long + short,
    )

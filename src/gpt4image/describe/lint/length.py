"""Length against what the text encoder reads; what is longer is cut off there."""

import numpy as np

from gpt4image.describe.lint.finding import Finding, Texts
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
    found = (
        f"{np.median(words or [0]):.0f} words at the median; {max(counts, default=0)} tokens at most, "
        f"{texts.share(long)} exceed the {counter.limit} that {counter.encoder} reads{estimated}; "
        f"{texts.share(short)} have fewer than {FEWEST_WORDS} words"
    )
    remedy = "a shorter prompt (--prompt attributes), or an encoder that reads more"
    rows = long + short
    return texts.find("length", rows, found, is_bad, remedy, list(map(texts.example, rows[:3])))

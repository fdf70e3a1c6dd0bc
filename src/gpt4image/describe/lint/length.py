"""Length against what the text encoder reads; what is longer is cut off there, or must be pooled."""

import numpy as np

from gpt4image.describe.lint.finding import Finding, Texts, share, shorten

LIMITS = {"minilm": 256, "open_clip": 77}
"""Tokens that the encoders of the embed stage read: all-MiniLM-L6-v2, and CLIP's text towers."""
TOKENS_PER_WORD = 1.3
"""Of English in WordPiece and byte-pair vocabularies; good enough to warn."""
FEWEST_WORDS = 3


def check_length(texts: Texts, limit: int) -> Finding:
    """Counts texts beyond `limit` tokens, estimated from words and marks, and texts of hardly any words."""
    counts = np.array([_num_tokens(row.text) for row in texts.rows] or [0])
    words = np.array([len(row.text.split()) for row in texts.rows] or [0])
    long = [row for row, count in zip(texts.rows, counts, strict=False) if count > limit]
    short = [row for row, count in zip(texts.rows, words, strict=False) if count < FEWEST_WORDS]
    is_bad = len(long) > 0.01 * len(texts.rows) or len(short) > 0.05 * len(texts.rows)
    return Finding(
        check="length",
        count=len(long) + len(short),
        total=len(texts.rows),
        words=f"{np.median(words):.0f} words at the median, {words.max()} at most; "
        f"{share(len(long), len(texts.rows))} exceed the encoder's {limit} tokens, "
        f"{share(len(short), len(texts.rows))} have fewer than {FEWEST_WORDS} words",
        is_bad=is_bad,
        remedy="a shorter prompt (--prompt attributes), or gpt4image embed with pooling over sentences"
        if is_bad
        else "",
        examples=[f"{texts.key_of(row)}: {shorten(row.text)}" for row in (long + short)[:3]],
        rows=long + short,
    )


def _num_tokens(text: str) -> int:
    marks = sum(text.count(mark) for mark in ",.;:()-")
    return round(len(text.split()) * TOKENS_PER_WORD) + marks + 2

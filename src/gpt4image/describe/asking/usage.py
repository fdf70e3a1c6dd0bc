"""How many tokens an answer took: as the endpoint tells, or else by an estimate that is said to be one."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

MOST_TOKENS = 10**7
"""Of one answer; no context is longer. More is a mistake, and as good as not told."""
BYTES_A_TOKEN = 4
"""Of text in UTF-8, about; for English by the rule of thumb of OpenAI's documentation."""
PIXELS_A_TOKEN = 28 * 28
"""Qwen2-VL and later (arXiv 2409.12191); OpenAI's 85 + 170 a tile of 512 px comes to nearly the same at 768 px."""


def read_usage(usage: Any) -> tuple[int, int]:
    """Tokens read and written, 0 where the endpoint does not tell.

    Tokens written are what the total leaves, if that is more: some servers count thinking there alone.
    """
    if not isinstance(usage, Mapping):
        return 0, 0
    read = _count(usage, "prompt_tokens") or _count(usage, "input_tokens")
    written = _count(usage, "completion_tokens") or _count(usage, "output_tokens")
    total = _count(usage, "total_tokens")
    if not read:
        return max(total - written, 0) if written else 0, written
    return read, max(written, total - read)


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    try:
        count = int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0
    return count if 0 <= count <= MOST_TOKENS else 0


def estimate_read(words: str, data_url: str) -> int:
    """Tokens of a prompt and an image, by their sizes."""
    data = base64.b64decode(data_url.partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    return estimate_written(words) + -(-width * height // PIXELS_A_TOKEN)


def estimate_written(*texts: str) -> int:
    """Tokens of texts, by their length."""
    return sum(-(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN) for text in texts)

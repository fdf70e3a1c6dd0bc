"""The name of a request in a batch file, from which its answer finds its image again."""

import hashlib
import re
from typing import NamedTuple

from gpt4image.describe.asking.missing import Ask

DIGEST_CHARACTERS, KEY_CHARACTERS = 40, 8
CUSTOM_ID = re.compile(rf"g4i-([0-9a-f]{{{DIGEST_CHARACTERS}}})-([0-9a-f]{{{KEY_CHARACTERS}}})-(\d+)")
"""Some services allow no more than 64 characters."""


class BatchKey(NamedTuple):
    """What a batch request was about beside its image."""

    prompt: str
    describer: str
    max_tokens: int

    @property
    def short(self) -> str:
        """The key in eight characters."""
        return hashlib.sha256("\n".join(map(str, self)).encode()).hexdigest()[:KEY_CHARACTERS]


def make_custom_id(ask: Ask, key: BatchKey) -> str:
    """The name of the request for one ask."""
    return f"g4i-{ask.digest[:DIGEST_CHARACTERS]}-{key.short}-{ask.sample}"


def parse_custom_id(custom_id: str) -> tuple[str, str, int] | None:
    """Start of the digest, short key and sample number; None if the name is not ours."""
    match = CUSTOM_ID.fullmatch(custom_id)
    return (match[1], match[2], int(match[3])) if match else None

"""Boilerplate: openings that talk about the picture instead of what is in it."""

import re
from collections import Counter

from gpt4image.describe.lint.finding import Finding, Texts, share

BOILERPLATE = re.compile(
    r"^(?:(?:sure|certainly|of course|okay)[,.!]*\s+)?(?:here(?:'s| is| are)[^.:!\n]{0,60}[:.!]\s*)?"
    r"(?:(?:image |visual )?(?:description|caption|answer)\s*:\s*)?"
    r"(?:(?:in )?(?:the|this|an?) (?:\w+ ){0,2}?(?:image|picture|photo|photograph)"
    r"(?:,? (?:(?:you|we) can see|there (?:is|are)|(?:prominently )?(?:show(?:s|ing)|depict(?:s|ing)|featur(?:es|ing)|"
    r"display(?:s|ing)|contains|presents|captures|showcases|(?:is )?of)))?,?\s+)?",
    re.IGNORECASE,
)
NOTABLE = 0.02
OPENING_WORDS = 4


def strip_boilerplate(text: str) -> str:
    """The text from where it begins to say something; unchanged if nothing would be left."""
    rest = text[_match_length(text) :].strip()
    return rest[:1].upper() + rest[1:] if rest and rest != text else text


def check_openings(texts: Texts) -> Finding:
    """Counts openings such as "The image shows", and the most common ones of all."""
    rows = [row for row in texts.rows if _match_length(row.text)]
    stripped = Counter(row.text[: _match_length(row.text)].strip().lower() for row in rows)
    common = Counter(" ".join(row.text.split()[:OPENING_WORDS]).lower() for row in texts.rows)
    opening, times = common.most_common(1)[0] if common else ("", 0)
    found = (
        f"{texts.share(rows)} open with words about the picture; the most common opening of all, "
        f"{opening!r}, has {share(times, len(texts.rows))}"
    )
    examples = [f"{number} x {words!r}" for words, number in stripped.most_common(3)]
    is_bad = len(rows) > NOTABLE * len(texts.rows)
    return texts.find("boilerplate", rows, found, is_bad, "gpt4image lint WORK --strip-boilerplate", examples)


def _match_length(text: str) -> int:
    match = BOILERPLATE.match(text)
    return match.end() if match else 0

"""Which class an answer in words names."""

import re
from collections.abc import Sequence

from gpt4image.images import UNLABELLED

NEGATION = re.compile(r"\b(?:not|no|none|neither|nor|never|isn|aren|cannot)\b")


def match_class(answer: str, classes: Sequence[str]) -> int:
    """The class that an answer names, `UNLABELLED` if it names none, several, or says that it is not one.

    Case, punctuation and white space do not count; a name within a longer one ("shirt" in "t-shirt") is not named.
    """
    names = [_plain(name) for name in classes]
    longest_first = sorted(filter(None, set(names)), key=len, reverse=True)
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")
    plain = _plain(answer)
    named = set(pattern.findall(plain)) if longest_first else set()
    if len(named) != 1 or NEGATION.search(pattern.sub(" ", plain)):
        return UNLABELLED
    (name,) = named
    return names.index(name) if names.count(name) == 1 else UNLABELLED


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())

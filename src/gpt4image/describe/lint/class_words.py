"""How English texts name a class: as a noun, one or many of it."""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

SEPARATOR = r"[\s_-]*"
FUNCTION_WORDS = (
    "with|without|in|on|of|at|by|for|from|to|into|over|under|near|beside|against|across|and|or|but|that|which|who|"
    "whose|is|are|was|were|has|have|can"
)
VERBS = (
    r"seen|made|held|laid|shown|worn|drawn|hung|strewn|spread|set|cut|lies|sits|stands|hangs|runs|looks|\w+ing|\w+ed"
)
ENDS_A_PHRASE = rf"(?=\s*(?:$|[^\w\s'’-]|(?:{FUNCTION_WORDS}|{VERBS})\b))"
"""What follows the head of a noun phrase, but not a modifier as in `shirt collar`."""
ENDS_A_SINGULAR = rf"(?=\s*(?:$|[.;]|(?:{FUNCTION_WORDS})\b))"
ONE_OF_IT = rf"(\b(?:an?|one|single)(?:\s+(?!(?:{FUNCTION_WORDS})\b)[\w-]+,?){{0,5}}?\s+)"
"""The beginning of a noun phrase in the singular."""


@cache
def class_pattern(name: str) -> re.Pattern[str]:
    """Finds a class name as a word, one or many of it; `T-shirt/top` is named by either part.

    The singular of a name that is a plural counts where it can only be a noun: `shorts` is named by "a denim short
    with two pockets", not by "short sleeves".
    """
    return re.compile("|".join(_forms(name)), re.IGNORECASE)


@cache
def thing_pattern(name: str) -> re.Pattern[str]:
    """Finds a class name where it says what something is: "a shirt with cuffs", not "a shirt collar"."""
    return re.compile(rf"(?:{'|'.join(_forms(name))}){ENDS_A_PHRASE}", re.IGNORECASE)


class ClassWords:
    """The words of many classes, found in texts without trying all of them on each.

    Args:
        names: the names of the classes.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_word: dict[str, list[str]] = defaultdict(list)
        for name in sorted(names):
            for word in {form for *_, last in _parts(name) for form in (last, *_plurals(last), *_singulars(last))}:
                self._by_word[word].append(name)

    def first_thing(self, text: str) -> tuple[str, re.Match[str]] | None:
        """The class that is named first as a thing, and where; None if none is."""
        matches = ((thing_pattern(name).search(text), name) for name in self._candidates(text))
        found = [(match.end(), name, match) for match, name in matches if match]
        return min(found)[1:] if found else None

    def hide(self, text: str) -> str:
        """The text without the names of any class."""
        for name in sorted(self._candidates(text), key=len, reverse=True):
            text = class_pattern(name).sub(lambda match: f"{match[match.lastindex] if match.lastindex else ''} ", text)
        return text

    def _candidates(self, text: str) -> set[str]:
        words = re.findall(r"[^\W_]+", text.lower())
        return {name for word in words for name in self._by_word.get(word, ())}


def _parts(name: str) -> list[list[str]]:
    """The words of each of a class's names."""
    parts = (re.split(r"[\s_-]+", part.strip(" _-")) for part in re.split(r"[/,]", name.lower()))
    return [words for words in parts if words != [""]]


def _forms(name: str) -> list[str]:
    """Regular expressions of all forms of a class name."""
    forms = []
    for words in _parts(name):
        *start_words, last = map(re.escape, words)
        start = SEPARATOR.join([*start_words, ""])
        forms.append(rf"(?<![\w-])(?:{start}(?:{'|'.join([last, *_plurals(last)])}))(?![\w-])")
        forms += [rf"{ONE_OF_IT}{start}{one}(?![\w-]){ENDS_A_SINGULAR}" for one in _singulars(last)]
    return forms


def _plurals(word: str) -> list[str]:
    if re.search(r"[^aeiou]y$", word):
        return [word[:-1] + "ies"]
    if re.search(r"[^f]fe?$", word):
        return [re.sub(r"fe?$", "ves", word), word + "s"]
    if re.search(r"(?:s|x|z|ch|sh)$", word):
        return [word + "es"]
    return [re.sub(r"man$", "men", word)] if word.endswith("man") else [word + "s", word + "es"]


def _singulars(word: str) -> list[str]:
    """What a plural may be made of; empty for a word that is none."""
    if len(word) < 4 or not re.search(r"[^sui]s$", word):
        return []
    if word.endswith("ies"):
        return [word[:-3] + "y"]
    if word.endswith("ves"):
        return [word[:-3] + "f", word[:-3] + "fe"]
    return [word[:-1], *([word[:-2]] if re.search(r"(?:s|x|z|ch|sh)es$", word) else [])]

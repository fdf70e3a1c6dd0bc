"""Tells a description from what a model writes instead of one."""

import re

from gpt4image.describe.asking.json_answers import phrases, read_json
from gpt4image.describe.store.states import State

REFUSAL = re.compile(
    r"\W*+(?:i['’]?m sorry\b|i am sorry\b|sorry\b|(?:i )?apologi[sz]e|unfortunately\b)?[\s,.;:!-]*+(?:but )?"
    r"(?:as an ai\b[^.]{0,60}?|unfortunately,? )?"
    r"(?:i (?:can['’]?t|cannot|can not|am unable to|['’]?m unable to|am not able to|won['’]?t|will not|must decline)|"
    r"i['’]m (?:unable|not able) to|unable to)"
    r"[^.]{0,40}?\b(?:help|assist|describe|identify|provide|view|see|access|analy[sz]e|comply|fulfil|process|discuss|"
    r"do that|continue)\b",
    re.IGNORECASE,
)
"""The opening of a text that declines to describe; what repeats gives nothing back, so that it takes linear time."""

LONGEST_OPENING = 400
"""Characters that are looked at: more than the pattern's longest words, with some room for marks before them."""

DECLINED, NO_JSON = "the answer declines to describe", "the answer is not the JSON asked for"
LETTERS, DIGITS = re.compile(r"[^\W\d_]"), re.compile(r"\d")


def judge_text(text: str) -> State:
    """The state of a text that was read or received whole: `ok`, `empty` (no word in it) or `refused`."""
    if not LETTERS.search(text):
        return State.EMPTY
    return State.REFUSED if REFUSAL.match(text[:LONGEST_OPENING]) else State.OK


def flatten_json(text: str) -> str:
    """A JSON answer as text, the values in order, with the names of the fields that hold them.

    "" if it is no JSON, or none of its fields says anything.
    """
    try:
        words = "; ".join(phrases(read_json(text)))
    except RecursionError:
        return ""
    return f"{words}." if LETTERS.search(words) or DIGITS.search(words) else ""

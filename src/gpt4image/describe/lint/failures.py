"""Failed descriptions, and texts that evade describing although they count as described."""

import re

from gpt4image.describe.asking.advice import advise
from gpt4image.describe.lint.finding import Finding, Texts, shorten
from gpt4image.describe.store.states import FAILED, State

EVASIVE = re.compile(
    r"\bas an ai\b|\blanguage model\b|\bno image (?:was|is|has been)\b|\bplease (?:provide|upload|share)\b|"
    r"\b(?:i|we) (?:can(?:no|')t|cannot|am unable to|do not|don't) (?:see|determine|identify|view|tell|provide)\b|"
    r"\bunable to (?:view|see|process)\b",
    re.IGNORECASE,
)


def check_failures(texts: Texts) -> Finding:
    """Counts the descriptions in failed states, each with its repair."""
    failed = {state: texts.all_states[state] for state in FAILED if texts.all_states.get(state)}
    return Finding(
        check="failed",
        count=sum(failed.values()),
        total=sum(texts.all_states.values()),
        words=", ".join(f"{number} {state}" for state, number in failed.items()) or "no description has failed",
        is_bad=bool(failed),
        remedy="gpt4image describe ... --retry-failed",
        examples=[_explain(state, texts.errors.get(state, "")) for state in failed],
    )


def _explain(state: State, error: str) -> str:
    """The most frequent error, if there was one, and what to do about it."""
    return f"{state}: {f'{shorten(error)}; ' if error else ''}{advise(state, error)}"


def check_evasions(texts: Texts) -> Finding:
    """Counts texts that say somewhere that the model cannot see or is an AI."""
    rows = [row for row in texts.rows if EVASIVE.search(row.text)]
    words = f"{texts.share(rows)} speak of not seeing, or of being an AI"
    remedy = "gpt4image lint WORK --requeue evasions, then describe again; gpt4image doctor tests the endpoint"
    return texts.find("evasions", rows, words, bool(rows), remedy, list(map(texts.example, rows[:3])))

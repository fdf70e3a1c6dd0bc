"""Why a model ended, as servers call it: OpenAI has five names for it, the others dozens."""

import re
from enum import StrEnum
from typing import Any

CUT_WORDS = "before max_tokens"
"""In the error of a description of which thinking took the whole limit."""


class Ending(StrEnum):
    """What a finish reason says of the answer."""

    WHOLE = "whole"
    CUT = "cut"
    """At the limit of tokens."""
    REFUSED = "refused"
    FAILED = "failed"
    """On the server's side, or for a reason nobody knows: what is there may be half a text."""


WHOLE = frozenset(
    {
        "",
        "stop",
        "null",
        "none",
        "tool_calls",
        "function_call",
        "eos",
        "eos_token",
        "end_turn",
        "stop_sequence",
        "complete",
        "completed",
    }
)
CUT = frozenset({"length", "max_tokens", "max_new_tokens", "max_output_tokens", "max_completion_tokens", "token_limit"})
REFUSED = re.compile(r"filter|safety|recitation|refus|sensitive|block|prohibited|spii|guardrail|moderat|policy|toxic")


def judge_finish(finish: Any) -> Ending:
    """What a `finish_reason` says; none at all is taken for a whole answer, as older servers send none."""
    # Some send the name of their enumeration along: FinishReason.STOP, FINISH_REASON_STOP.
    name = str(finish or "").strip().lower().rpartition(".")[2].removeprefix("finish_reason_")
    if name in WHOLE:
        return Ending.WHOLE
    if name in CUT:
        return Ending.CUT
    return Ending.REFUSED if REFUSED.search(name) else Ending.FAILED

"""The states of a description, and the stated repair of each. Only `ok` is ever embedded."""

from enum import StrEnum


class State(StrEnum):
    """What became of one request for a description."""

    OK = "ok"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    REASONING_ONLY = "reasoning_only"
    UNREADABLE_IMAGE = "unreadable_image"
    ENDPOINT_ERROR = "endpoint_error"
    REJECTED = "rejected"
    """By a person."""


SETTLED = frozenset({State.OK, State.REJECTED})
"""States that need no repair: a description, or a person's decision."""

FAILED = tuple(state for state in State if state not in SETTLED)

REPAIRS = {
    State.EMPTY: "--retry-failed asks again with a smaller image",
    State.TRUNCATED: "raise --max-tokens, or --retry-failed asks again with twice as many",
    State.REFUSED: "--retry-failed asks again; another --prompt, without people or brands, often helps",
    State.REASONING_ONLY: "--retry-failed asks again with thinking off and twice the tokens",
    State.UNREADABLE_IMAGE: "replace the file; it is then described as a new image",
    State.ENDPOINT_ERROR: "--retry-failed asks again",
}

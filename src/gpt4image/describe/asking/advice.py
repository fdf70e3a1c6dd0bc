"""What to do about a failure: the state and the cause, as the endpoint's words tell it, decide together."""

import re
from dataclasses import dataclass
from functools import lru_cache

from gpt4image.describe.store.states import REPAIRS, State

TOO_LARGE_WORDS = (
    r"context[ _](?:size|length|window)|maximum context|n_ctx|prompt is too long|too many (?:input |image )?tokens|"
    r"input (?:length|is too long|tokens? exceed)|longer than the maximum|tokens.{0,40} must be <=|"
    r"(?:entity|payload|body|image|picture|request)s? (?:is |are )?too (?:large|big)|"
    r"(?:image|picture)s?(?:[^.]|\.\d){0,40}exceed|exceeds? the (?:maximum|limit|available)[^.]{0,40}(?:size|tokens)"
)
"""In lower case, what endpoints say of a picture or a request for which a smaller picture may do."""


@dataclass(frozen=True)
class Advice:
    """What mends one cause of one state.

    Attributes:
        state: of the description.
        cause: in words.
        pattern: found in the error of such a description, in lower case.
        advice: what to do.
    """

    state: State
    cause: str
    pattern: str
    advice: str


ADVICE = (
    Advice(
        State.TRUNCATED,
        "the model's context is full",
        r"context|model_length",
        "a smaller --image-size, or a server with a larger context; then --retry-failed",
    ),
    Advice(State.TRUNCATED, "the text never ends", r"characters", "another --model or --prompt; then --retry-failed"),
    Advice(
        State.REASONING_ONLY,
        "thinking took the whole limit",
        r"before max_tokens",
        "raise --max-tokens, which redoes these alone; or --thinking off with --retry-failed",
    ),
    Advice(
        State.REASONING_ONLY,
        "the answer stands in the reasoning",
        r"no answer",
        "--answer-from reasoning with --retry-failed if the reasoning is the answer, else --retry-failed: thinking off",
    ),
    Advice(
        State.EMPTY,
        "prose in the place of JSON",
        r"not the json",
        "a model that keeps to a schema, or no --schema; then --retry-failed",
    ),
    Advice(
        State.EMPTY,
        "JSON whose fields are all empty",
        r"no field",
        "fields that fit these images in --schema, then --retry-failed",
    ),
    Advice(
        State.REFUSED,
        "blocked by the endpoint",
        r"status 4\d\d|content filter|no choice|stopped by",
        "another --prompt or another endpoint with --retry-failed; the pictures themselves are not wanted there",
    ),
    Advice(
        State.ENDPOINT_ERROR,
        "the picture is too large",
        rf"status 413|model_length|{TOO_LARGE_WORDS}",
        "a smaller --image-size, or a server with a larger context; then --retry-failed",
    ),
    Advice(
        State.ENDPOINT_ERROR,
        "no answer in time",
        r"no answer within|timed out|timeout",
        "a larger --timeout-s or fewer --in-flight; then --retry-failed",
    ),
    Advice(
        State.ENDPOINT_ERROR,
        "too many requests",
        r"status 429|too many requests|rate limit",
        "--requests-per-minute or --tokens-per-minute as your plan has them; then --retry-failed",
    ),
    Advice(
        State.ENDPOINT_ERROR,
        "the endpoint cannot read the request",
        r"status (?:400|405|415|422)",
        "if others were answered, look at the picture; else take fields out of --extra-body; then --retry-failed",
    ),
    Advice(
        State.ENDPOINT_ERROR,
        "the server failed",
        r"status 5\d\d|broke|no chat completion|ended with",
        "look at the server's log, then --retry-failed",
    ),
)
"""The first that fits counts; if none does, `states.REPAIRS`."""

STATUS_ADVICE = {
    401: "check the API key (--api-key-env, --api-key-file, or --header for gateways with one of their own)",
    402: "add credit, or name another key with --api-key-env",
    403: "check the API key (--api-key-env) and what it may do",
    404: "check --endpoint, --model and the API key",
    407: "check the proxy's name and password (HTTPS_PROXY)",
    410: "the model is retired: choose another --model",
    429: "add credit, or name another key with --api-key-env",
}

SETUP_ADVICE = (
    (r"mmproj|image input is not supported|at most 0 image|multimodal|vision|support image",
     "start the server with the model's vision part (llama.cpp: --mmproj), or use a vision model"),
    (r"\bstream|chat completion: '(?:data|event):|\"done\": ?false", "ask an endpoint that does not only stream"),
    (r"api[_ ]?key|authentication", STATUS_ADVICE[401]),
    (r"plain http request", "write https:// in --endpoint"),
    (r"certificate", "name the certificate of its authority with --ca-file"),
)  # fmt: skip


def advise(state: State, error: str) -> str:
    """What to do about descriptions of this state with this error; "" for those that need nothing."""
    found = _find(state, error)
    return found.advice if found else REPAIRS.get(state, "")


@lru_cache(1024)
def _find(state: State, error: str) -> Advice | None:
    words = error.lower()
    return next((row for row in ADVICE if row.state is state and re.search(row.pattern, words)), None)


def advise_setup(status: int, words: str) -> str:
    """What to do about an endpoint that takes no request at all."""
    found = next((advice for pattern, advice in SETUP_ADVICE if re.search(pattern, words.lower())), "")
    return found or STATUS_ADVICE.get(status, "check --endpoint, --model and the server's log")

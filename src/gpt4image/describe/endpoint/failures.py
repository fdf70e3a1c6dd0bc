"""What kind of failure a failure is: one that passes, the picture's, or the endpoint's, and when there is no hope."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from gpt4image.describe.asking.advice import TOO_LARGE_WORDS, advise_setup
from gpt4image.describe.asking.json_answers import load_body
from gpt4image.errors import EndpointError, UnavailableError
from gpt4image.shown import start_of

FATAL_STATUSES = frozenset({401, 402, 404, 407, 410})
REFUSING_STATUSES = frozenset({400, 403, 405, 411, 413, 414, 415, 422, 451})
THROTTLING_STATUSES = frozenset({429, 503, 529})
TOO_LARGE_STATUSES = frozenset({400, 413, 422, 429, 500})
MOST_ERROR_CHARACTERS = 300

NO_CREDIT = re.compile(
    r"insufficient[ _](?:quota|credits?|balance|funds)|credit balance is too low|billing[ _]hard[ _]limit|"
    r"account (?:is not active|balance)|payment required|out of credits?|budget has been exceeded|"
    r"exceeded_current_quota|(?:used|exceeded)[^.]{0,40} (?:credits?|spending limit)|spending limit|arrearage|"
    "余额不足|欠费",
    re.IGNORECASE,
)
TOO_LARGE = re.compile(TOO_LARGE_WORDS, re.IGNORECASE)
TOO_LARGE_FOR_A_MINUTE = re.compile("request too large", re.IGNORECASE)
"""With status 429: it takes more tokens than a minute may, so that no wait helps."""
A_DAY = re.compile(r"per[ _-]?day|daily", re.IGNORECASE)
MODERATED = re.compile(
    r"content[ _](?:filter|policy|management policy)|moderation|flagged|safety|data_?inspection|responsible.?ai|"
    r"inappropriate content|sensitive content|guardrail",
    re.IGNORECASE,
)
NOT_THERE_YET = re.compile(
    r"\bloading\b|\bstarting\b|\bstarting up\b|warming up|\bnot (?:yet )?ready\b|initiali[sz]ing|booting|cold start",
    re.IGNORECASE,
)
A_TIME = r"(\d+(?:\.\d+)?)\s*(milliseconds?|ms|days?|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])"
WAIT_IN_WORDS = re.compile(rf"(?:try again|retry|wait)[^.\d]{{0,20}}?((?:{A_TIME}(?:,? and |,? ?))+)", re.IGNORECASE)
SECONDS = {"milli": 0.001, "ms": 0.001, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
"""By how a unit's name begins, the longest first."""
MARKUP = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
RETRY_DELAY = re.compile(r'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"')
"""Google's way (google.rpc.RetryInfo)."""
RESET = re.compile(r'"x-ratelimit-reset"\s*:\s*"?([\w.]+)', re.IGNORECASE)
"""OpenRouter's way: the header stands in the body."""
A_TIME_OF_DAY_S, A_TIME_OF_DAY_MS = 1e9, 1e11
"""Greater numbers are seconds, and milliseconds, since 1970; as a wait they would be thirty years."""


@dataclass(eq=False)
class PassingError(Exception):
    """The request failed for a reason that may be gone next time.

    Attributes:
        message: the reason.
        retry_after_s: how long the endpoint asks to wait, None if it does not say.
        is_throttle: the endpoint has too many requests.
        is_connection: no connection came about.
        is_loading: the server is still loading its model.
        is_timeout: no answer came in time.
        is_dead: the endpoint answers nobody any more.
        tokens: what it cost all the same.
        needs_smaller: a smaller image may do.
    """

    message: str
    retry_after_s: float | None = None
    is_throttle: bool = False
    is_connection: bool = False
    is_loading: bool = False
    is_timeout: bool = False
    is_dead: bool = False
    tokens: tuple[int, int] = (0, 0)
    needs_smaller: bool = False

    @property
    def is_absent(self) -> bool:
        """Whether nobody is there, in which the picture has no part."""
        return self.is_connection or self.is_loading or self.is_dead

    def __str__(self) -> str:
        return f"no picture is answered any more: {self.message}" if self.is_dead else self.message


@dataclass(eq=False)
class RefusedRequestError(Exception):
    """The endpoint will never take this request; another image may do.

    Attributes:
        message: the reason.
        is_moderated: it does not want this picture.
        needs_smaller: a smaller image may do.
    """

    message: str
    is_moderated: bool = False
    needs_smaller: bool = False

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class Told(Exception):
    """What an endpoint said instead of an answer.

    Attributes:
        status: of HTTP, or the one in the body; 200 if it has none.
        body: the body.
        headers: its headers, in lower case.
        tokens: what it cost all the same.
        reading: what was read in the body, if that is more than an error's message.
    """

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: tuple[int, int] = (0, 0)
    reading: str = ""

    @property
    def words(self) -> str:
        """The endpoint's own words, in short."""
        return self.reading or read_words(self.body)

    def __str__(self) -> str:
        return f"status {self.status}: {self.words}" if self.status != 200 else self.words


def classify(url: str, told: Told) -> Exception:
    """The failure that `told` is: PassingError, RefusedRequestError or EndpointError."""
    # In JSON, letters beyond ASCII may be escaped.
    status, body = told.status, f"{told.body}\n{told.words}"
    retry_after_s = read_retry_after_s(told.headers, body)
    if 300 <= status < 400:
        target = told.headers.get("location", "an address it does not name").removesuffix("/chat/completions")
        return EndpointError(
            f"{url} answers status {status} and sends on to {target}; no image and no key is sent there unasked: "
            "give that --endpoint if it is meant"
        )
    if status == 400 and re.search(r'"code"\s*:\s*"?429\b', body):
        status = 429  # A gateway hands on what another one has told it.
    if status == 429 and retry_after_s is None:
        retry_after_s = _read_reset_s(told.headers, body)
    if status == 429 and A_DAY.search(body) and (retry_after_s is None or RETRY_DELAY.search(body)):
        return UnavailableError(f"{url} answers {told}; what is allowed a day is used up: try again later")
    if status in FATAL_STATUSES or (NO_CREDIT.search(body) and retry_after_s is None):
        return EndpointError(f"{url} answers {told}; {advise_setup(status, body)}")
    too_large = TOO_LARGE_FOR_A_MINUTE if status == 429 else TOO_LARGE
    if status == 413 or (status in TOO_LARGE_STATUSES and too_large.search(body)):
        return RefusedRequestError(str(told), needs_smaller=True)
    if status in REFUSING_STATUSES:
        return RefusedRequestError(str(told), is_moderated=status == 403 or bool(MODERATED.search(body)))
    is_error = status >= 500 or (status == 200 and '"error"' in body)
    is_loading = is_error and bool(NOT_THERE_YET.search(body))
    return PassingError(
        str(told), retry_after_s, is_throttle=status in THROTTLING_STATUSES, is_loading=is_loading, tokens=told.tokens
    )


def read_words(body: str) -> str:
    """What an error's body says to people: the message in its JSON, else its text without markup."""
    text = ""
    with suppress(ValueError, RecursionError):
        text = " ".join(_messages(load_body(body)))
    return shorten(text or re.sub(MARKUP, " ", body)) or "(an empty body)"


def _messages(value: Any) -> list[str]:
    """The messages in an error's JSON, whichever of the usual forms it has."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [words for item in value[:3] for words in _messages(item)]
    if not isinstance(value, dict):
        return []
    for name in ("error", "errors", "message", "detail", "msg", "error_msg"):
        if found := _messages(value.get(name)):
            if name == "msg" and isinstance(place := value.get("loc"), list):
                found[0] = f"{'.'.join(map(str, place))}: {found[0]}"
            metadata = value.get("metadata")
            raw = metadata.get("raw") if isinstance(metadata, dict) else None
            return [*found, raw] if isinstance(raw, str) else found
    return []


def shorten(text: str) -> str:
    """A text on one line of at most 300 characters."""
    return start_of(" ".join(text.split()), MOST_ERROR_CHARACTERS)


def read_retry_after_s(headers: Mapping[str, str], body: str = "") -> float | None:
    """Seconds to wait: OpenAI's `retry-after-ms`, else `Retry-After` (RFC 9110: a number or a date), else the words'.

    None if the endpoint does not say, or says 0, which has brought whole fleets back at once.
    """
    told: float | None = None
    value = headers.get("retry-after", "")
    with suppress(ValueError, TypeError, OverflowError):
        told = parsedate_to_datetime(value).timestamp() - time.time()
    with suppress(ValueError):
        told = float(value)
    if told is None:
        told = _add_times(value)
    with suppress(KeyError, ValueError):
        told = float(headers.get("x-ms-retry-after-ms") or headers["retry-after-ms"]) / 1000
    if told is None and (match := RETRY_DELAY.search(body)):
        told = float(match[1])
    if told is None and (match := WAIT_IN_WORDS.search(body)):
        told = _add_times(match[1])
    return told if told is not None and 0 < told < float("inf") else None


def _read_reset_s(headers: Mapping[str, str], body: str) -> float | None:
    """Seconds until the limit that is reached is lifted (`X-RateLimit-Reset`: when, or how long); None if not said."""
    match = RESET.search(body)
    value = headers.get("x-ratelimit-reset") or (match[1] if match else "")
    try:
        told = float(value)
    except ValueError:
        told = _add_times(value) or 0.0
    if told > A_TIME_OF_DAY_S:
        told = (told / 1000 if told > A_TIME_OF_DAY_MS else told) - time.time()
    return told if 0 < told < float("inf") else None


def _add_times(text: str) -> float | None:
    """Seconds of `1h2m3s` and the like; None if no time stands there."""
    times = re.findall(A_TIME, text, re.IGNORECASE)
    return sum(float(number) * _seconds_of(unit) for number, unit in times) if times else None


def _seconds_of(unit: str) -> float:
    return next(seconds for start, seconds in SECONDS.items() if unit.lower().startswith(start))

"""Tells, before an endpoint has answered anything, that it never will."""

import re
import time
from collections import Counter

from gpt4image.describe.endpoint.failures import PassingError

MOST_ALIKE = 8
FEWEST_JUDGED = 6
"""Failures of which the last has used up a request's retries; fewer may be bad luck."""
MOST_THROTTLED = 40
PATIENT_TIMEOUTS = 2.5
"""A server that loads its model answers nothing for a while: so many timeouts are waited."""


class FirstFailures:
    """How the attempts at one endpoint ended as long as none was answered."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s, self._start_s = timeout_s, time.monotonic()
        self._counts: Counter[str] = Counter()

    def is_hopeless(self, failure: PassingError, has_retries: bool) -> bool:
        """Notes a failure, and says whether it is time to stop.

        Args:
            failure: of an attempt.
            has_retries: whether the request would be tried again.
        """
        kind = re.sub(r"[\d\W]+", " ", str(failure))[:80]
        self._counts[kind] += 1
        if failure.is_throttle:
            return self._counts.total() >= MOST_THROTTLED
        if failure.is_timeout and time.monotonic() - self._start_s < PATIENT_TIMEOUTS * self._timeout_s:
            return False
        return self._counts[kind] >= MOST_ALIKE or (not has_retries and self._counts.total() >= FEWEST_JUDGED)

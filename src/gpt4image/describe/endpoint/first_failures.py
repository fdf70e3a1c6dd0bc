"""Tells, before an endpoint has answered anything, that it never will."""

import re
from collections import Counter

from gpt4image.describe.endpoint.failures import PassingError

MOST_ALIKE = 8
FEWEST_JUDGED = 6
"""Failures of which the last has used up a request's retries; fewer may be bad luck."""
MOST_THROTTLED = 40


class FirstFailures:
    """How the attempts at one endpoint ended as long as none was answered."""

    def __init__(self) -> None:
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
        # A server that loads its model answers nothing for a while; that is as long as the retries last.
        is_alike = self._counts[kind] >= MOST_ALIKE and not failure.is_timeout
        return is_alike or (not has_retries and self._counts.total() >= FEWEST_JUDGED)

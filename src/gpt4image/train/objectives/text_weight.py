"""The weight of the text loss over the course of training."""

import math
from dataclasses import dataclass
from typing import Literal

Course = Literal["linear", "cosine"]


@dataclass(frozen=True)
class TextWeight:
    """A weight that goes from `start` to `end`; constant if `end` is None."""

    start: float
    end: float | None = None
    course: Course = "cosine"

    def at(self, progress: float) -> float:
        """The weight when the share `progress` (0 to 1) of training is done."""
        if self.end is None:
            return self.start
        way = progress if self.course == "linear" else (1 - math.cos(math.pi * progress)) / 2
        return self.start + (self.end - self.start) * way

"""Who answers: the interface of everything that writes descriptions."""

from typing import Protocol

from gpt4image.describe.asking.missing import Wanted
from gpt4image.describe.asking.record import Recorder


class Describer(Protocol):
    """Answers what is wanted: an endpoint, a local model, a cluster, or a file of texts."""

    def answer(self, wanted: Wanted, recorder: Recorder) -> str:
        """Answers what `wanted` has to ask; each answer goes to `recorder` the moment it is there.

        Returns:
            why the run stopped early, or "".
        """

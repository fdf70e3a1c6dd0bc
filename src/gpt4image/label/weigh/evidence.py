"""What is known about each image's class, and what comes out when it is weighed: plain arrays."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

NO_LABEL = -1
NONE_OF_THESE = -2
"""Of `Evidence.gold` and `Picks.first`: who was asked named none of the classes."""
STATES = ("kept", "overruled", "completed", "open", "by_person")
"""`Weighed.states` holds positions in this tuple."""


@dataclass(frozen=True)
class Picks:
    """The class that a describer named for each image.

    Attributes:
        name: of the describer, prompt and sample.
        first: int64 [N], the class named; -1 where the describer was not asked, -2 where its answer names no class.
        second: int64 [N], its second choice; -1 where there is none.
        confidence: float32 [N], how sure it said it was, 0 to 1; nan where it did not say.
    """

    name: str
    first: Int[np.ndarray, " N"]
    second: Int[np.ndarray, " N"]
    confidence: Float[np.ndarray, " N"]


@dataclass(frozen=True)
class Vectors:
    """Texts under a text encoder, or images under a frozen pre-trained net.

    Attributes:
        name: of the prompt or net.
        kind: what was encoded.
        vectors: [M, D]; may be a memory map.
        rows: int64 [N], row of each image's vector; -1 where there is none.
        class_vectors: [C, D], the class names (or explanations) under the same text encoder, or None.
    """

    name: str
    kind: Literal["text", "image"]
    vectors: np.ndarray
    rows: Int[np.ndarray, " N"]
    class_vectors: Float[np.ndarray, "C D"] | None = None


@dataclass(frozen=True)
class Evidence:
    """All witnesses of N images; any may be missing for any image.

    Attributes:
        num_classes: C, at least 2.
        given: int64 [N], given labels; -1 where there is none.
        picks: of any number of describers.
        texts: of any number of prompts.
        images: features of a frozen net, or None.
        gold: int64 [N], answers of a person: -1 where there is none, -2 for "none of these classes"; None: no answers.
    """

    num_classes: int
    given: Int[np.ndarray, " N"]
    picks: tuple[Picks, ...] = ()
    texts: tuple[Vectors, ...] = ()
    images: Vectors | None = None
    gold: Int[np.ndarray, " N"] | None = None


@dataclass(frozen=True)
class Weighed:
    """What all witnesses say together.

    Attributes:
        classes: int64 [N, K], the K likeliest classes of each image, the likeliest first; K is at most 20.
        values: float16 [N, K], their probabilities.
        none: float32 [N], probability that the image is of none of the classes.
        opinions: of each witness alone, calibrated: (class int64 [N], -1 without opinion; probability float32 [N]).
        doubt: float32 [N], log-odds that the given label is wrong, nan without label; labels are ranked by it.
        states: int8 [N], positions in `STATES`.
        proposed: int64 [N], the class that the image is taken for; -1 if open.
        reliability: plain values: of each witness, of the given labels, shares of classes.
        told: float16 [N, K], what the picks alone say of the same classes, calibrated on other images, the mean over
            describers; zero rows where none named a class. None without picks.
    """

    classes: Int[np.ndarray, "N K"]
    values: Float[np.ndarray, "N K"]
    none: Float[np.ndarray, " N"]
    opinions: dict[str, tuple[np.ndarray, np.ndarray]]
    doubt: Float[np.ndarray, " N"]
    states: Int[np.ndarray, " N"]
    proposed: Int[np.ndarray, " N"]
    reliability: dict[str, Any]
    told: Float[np.ndarray, "N K"] | None = None

    @property
    def probabilities(self) -> Float[np.ndarray, "N C"]:
        """All probabilities as one dense array, for data of moderate size."""
        num_classes = self.reliability["num_classes"]
        dense = np.zeros((len(self.classes), num_classes), np.float32)
        np.put_along_axis(dense, self.classes, self.values.astype(np.float32), 1)
        return dense

"""From a pilot to what may be expected of describing everything: one stated rule, and what was measured elsewhere.

Texts and picks pay by the rightly labelled images they add. Without them these are the given labels that are right;
with them on all images they are the labels right after weighing, and of the images without a label those that the
best of texts and picks gets right. The rule compares the two numbers of images.
"""

from dataclasses import dataclass

from gpt4image.forecast.pilot import Pilot

WEAK = "weak texts"
"""The finding where agreement and disagreement with labels say nothing about either."""
LITTLE, MUCH = 1.1, 1.4
"""Below the first factor no measurable gain was seen, from the second on large ones; between them nothing is known."""
FEW_WRONG = 0.1
"""Labels count as right if the interval of their noise ends below."""


@dataclass(frozen=True)
class Case:
    """A comparison that was made: rightly labelled images before and after, accuracy of image models and its gain."""

    images: str
    net: str
    labels: str
    right_before: int
    right_after: int
    plain: float
    with_texts: float
    interval: str

    @property
    def factor(self) -> float:
        return self.right_after / self.right_before


FROZEN, NOTHING = "frozen", "from nothing"
CASES = (
    Case("clothing", FROZEN, "all, clean", 986, 986, 76.7, 76.4, "−1.3 to +0.6"),
    Case("clothing", FROZEN, "40 % wrong", 592, 951, 71.1, 75.6, "+3.1 to +5.9"),
    Case("clothing", FROZEN, "10 a class", 100, 952, 67.0, 75.2, "+6.6 to +9.8"),
    Case("Fashion-MNIST", FROZEN, "all, clean", 1000, 1000, 82.7, 82.8, "−0.3 to +0.5"),
    Case("Fashion-MNIST", FROZEN, "40 % wrong", 600, 918, 77.8, 82.0, "+3.7 to +4.6"),
    Case("Fashion-MNIST", FROZEN, "10 a class", 100, 893, 72.9, 81.0, "+7.2 to +8.9"),
    Case("products", FROZEN, "all, clean", 1720, 1720, 69.4, 70.4, "+0.4 to +1.5"),
    Case("products", FROZEN, "40 % wrong", 1032, 1629, 63.4, 69.1, "+4.0 to +7.3"),
    Case("products", FROZEN, "10 a class", 430, 1619, 59.1, 70.2, "+9.7 to +12.4"),
    Case("products", NOTHING, "all, clean", 1350, 1350, 61.1, 61.2, "−1.4 to +1.5"),
    Case("clothing", NOTHING, "10 a class", 100, 902, 23.6, 47.4, "+20.7 to +26.9"),
    Case("Fashion-MNIST", NOTHING, "10 a class", 100, 859, 69.2, 78.4, "+6.0 to +12.3"),
)
"""From docs/results.md: test images, 5 to 20 seeds; frozen EfficientNet-Lite0, and what labels, picks and texts tell;
small CNNs from nothing, and blind texts or, with clean labels, alignment with the shop's descriptions.
"""


@dataclass(frozen=True)
class Outlook:
    """What may be expected.

    Attributes:
        right_before: rightly labelled images without texts, estimated.
        right_after: with texts on all images.
        least_factor: the ratio of the two, at the end of the pilot's intervals that is least in favour of texts.
        finding: `none`, `unclear`, `gain`, `weak texts`, `texts only` or `not measured`.
        words: what that means, in a sentence.
    """

    right_before: float
    right_after: float
    least_factor: float
    finding: str
    words: str


def look_out(pilot: Pilot | None, num_labelled: int, num_unlabelled: int, answered: float) -> Outlook:
    """Applies the rule.

    Args:
        pilot: what was measured, or None.
        num_labelled: images of the whole set with a label.
        num_unlabelled: and without.
        answered: share of the asked images that got a usable description.
    """
    if pilot is None:
        finding, words = "not measured", "too few described images have a label; describe more of those that have one"
        if not num_labelled:
            finding, words = (
                "texts only",
                (
                    "without any label only texts, picks and class names can teach; how well they do cannot be known "
                    "without labels: label 20 or more of the described images and forecast again"
                ),
            )
        return Outlook(num_labelled, num_labelled, 1, finding, words)
    accuracy = pilot.accuracy if pilot.accuracy is not None else pilot.agreement.value
    before = num_labelled * (1 - pilot.noise.value)
    right = pilot.labels_right.value
    after = before + answered * (num_labelled * (right - 1 + pilot.noise.value) + num_unlabelled * accuracy)
    # The least gain that the pilot's intervals allow: fewest wrong labels, texts that are only as good as they agree.
    before_most = num_labelled * (1 - pilot.noise.low)
    gain_least = max(num_labelled * (right - 1 + pilot.noise.low), 0.0)
    least = 1 + answered * (gain_least + num_unlabelled * min(pilot.agreement.low, accuracy)) / before_most
    finding, words = _judge(pilot, after / before, least)
    return Outlook(before, after, least, finding, words)


def _judge(pilot: Pilot, factor: float, least: float) -> tuple[str, str]:
    if pilot.agreement.low < min(2 * pilot.chance, 0.9):
        return WEAK, (
            "neither texts nor picks are shown to tell the classes apart at least twice as well as guessing: another "
            "prompt (gpt4image lint says which), or a larger pilot, before paying for all"
        )
    if least >= MUCH:
        return (
            "gain",
            f"worth describing: texts multiply the rightly labelled images by {factor:.1f}, as in the cases measured",
        )
    if factor < LITTLE and pilot.noise.high < FEW_WRONG:
        return "none", (
            "the labels are there and right, so texts and picks have little to add: of the cases measured one gained a "
            "point, by the LLM's own opinion beside the label, and none by alignment"
        )
    return "unclear", (
        f"this pilot cannot tell (a factor of {least:.1f} to {factor:.1f}): describe more, as more texts are read "
        "better, or gpt4image compare on the described images only"
    )


def nearest_cases(outlook: Outlook) -> list[Case]:
    """The measured cases, those with a similar factor first."""
    factor = outlook.right_after / outlook.right_before if outlook.right_before else float("inf")
    side = factor >= (LITTLE + MUCH) / 2
    return sorted(CASES, key=lambda case: (case.factor >= MUCH) != side)

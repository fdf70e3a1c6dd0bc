"""The arms of a comparison: training variants that differ in how text takes part, and in nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gpt4image.errors import SettingsError

BASELINE = "baseline"


@dataclass(frozen=True)
class Arm:
    """A training variant.

    Attributes:
        role: `baseline`; `method`: ours or a part of it; `relative`: somebody else's; `control`: must not win;
            `ceiling`: learns what no method may know.
        explanation: one phrase for the report.
        overrides: settings of the train stage that make the variant.
        method: how the labels that it learns are weighed (`label --method`).
        uses_text: whether it reads descriptions.
        needs_picks: whether it has nothing to learn where no describer picked a class.
        needs_baseline: whether it learns from the baseline's predictions.
        needs_labels: whether it learns no classes where no image has a label.
        same_everywhere: whether it learns the same in every situation, whichever labels are hidden or spoilt there.
        finding: of a control that gains as much as the method, what that means.
    """

    role: Literal["baseline", "method", "relative", "control", "ceiling"]
    explanation: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    method: str = "weighed"
    uses_text: bool = True
    needs_picks: bool = False
    needs_baseline: bool = False
    needs_labels: bool = False
    same_everywhere: bool = False
    finding: str = "This is regularisation more than text"


PLAIN = {"objective": "none"}
GIVEN = {"targets": "given"}
OFFICIAL = {
    "objective": "clip",
    "text_weight": 0.3,
    "temperature": 0.2,
    "projector": "mlp",
    "projector_std": 1024**-0.5,
}
TEXTTEACHER = {"objective": "textteacher", "text_weight": 0.5, "projector": "linear"}

ARMS = {
    BASELINE: Arm("baseline", "the given labels alone", PLAIN | GIVEN, uses_text=False, needs_labels=True),
    "aligned": Arm("method", "our defaults: all that is known of the labels, and alignment where it is on"),
    "weighed": Arm("method", "all that is known of the labels, no alignment", PLAIN),
    "alignment": Arm("method", "the given labels and alignment", GIVEN, needs_labels=True),
    "official": Arm(
        "relative", "GPT4Image as published (arXiv 2306.00693), one process", OFFICIAL | GIVEN, needs_labels=True
    ),
    "textteacher": Arm(
        "relative", "TextTeacher as published (arXiv 2605.22098)", TEXTTEACHER | GIVEN, needs_labels=True
    ),
    "picks": Arm(
        "relative",
        "the class that the multimodal LLM named, believed",
        PLAIN | {"targets": "picks"},
        needs_picks=True,
        same_everywhere=True,
    ),
    "texts": Arm("relative", "labels and descriptions weighed, neither picks nor image features", PLAIN, "texts"),
    "dawid_skene": Arm(
        "relative", "labels and picks weighed as by Dawid and Skene (1979)", PLAIN, "dawid_skene", needs_picks=True
    ),
    "cleanlab": Arm(
        "relative",
        "labels that cleanlab takes for wrong by the image features are dropped",
        PLAIN,
        "cleanlab",
        needs_labels=True,
    ),
    "self_training": Arm(
        "relative",
        "what the image model itself is sure of, learnt under strong augmentation (FixMatch's rule), no text",
        PLAIN | GIVEN | {"rand_augment": "rand-m9-mstd0.5-inc1"},
        uses_text=False,
        needs_baseline=True,
        needs_labels=True,
    ),
    "gce": Arm(
        "relative",
        "the given labels by the generalised cross-entropy (arXiv 1805.07836), robust to wrong ones",
        PLAIN | GIVEN | {"label_loss": "gce"},
        uses_text=False,
        needs_labels=True,
    ),
    "label_text": Arm(
        "control",
        "the text of an image is its class name",
        GIVEN | {"text_source": "label", "objective": "clip"},
        needs_labels=True,
        finding="The class names alone do as much as the descriptions",
    ),
    "shuffled": Arm(
        "control",
        "each image gets another image's description",
        GIVEN | {"shuffle_texts": True, "objective": "clip"},
        needs_labels=True,
    ),
    "true": Arm(
        "ceiling",
        "all labels as the image set has them",
        PLAIN | {"targets": "true"},
        uses_text=False,
        same_everywhere=True,
    ),
}


def find_arms(names: list[str]) -> dict[str, Arm]:
    """The arms of these names, the baseline first.

    Raises:
        SettingsError: there is no such arm.
    """
    for name in names:
        if name not in ARMS:
            raise SettingsError(f"there is no arm {name!r}; choose from {', '.join(ARMS)}")
    return {name: ARMS[name] for name in dict.fromkeys([BASELINE, *names])}

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
        role: `baseline`; `method`: ours or a part of it; `relative`: somebody else's; `control`: must not win.
        explanation: one phrase for the report.
        overrides: settings of the train stage that make the variant.
        uses_text: whether it reads descriptions.
        uses_answers: whether it reads the describer's answers to the question for the class, instead of descriptions.
        needs_baseline: whether it learns from the baseline's predictions.
        needs_labels: whether it learns no classes where no image has a label.
        finding: of a control that gains as much as the method, what that means.
    """

    role: Literal["baseline", "method", "relative", "control"]
    explanation: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    uses_text: bool = True
    uses_answers: bool = False
    needs_baseline: bool = False
    needs_labels: bool = False
    finding: str = "This is regularisation more than text"


OFFICIAL = {
    "objective": "clip",
    "reader": False,
    "text_weight": 0.3,
    "temperature": 0.2,
    "projector": "mlp",
    "projector_std": 1024**-0.5,
}
TEXTTEACHER = {"objective": "textteacher", "reader": False, "text_weight": 0.5, "projector": "linear"}

LABEL_TEXT = {"text_source": "label", "reader": False}
LLM_LABEL = {"text_source": "answers", "objective": "none", "reader": True}

ARMS = {
    BASELINE: Arm("baseline", "labels alone", uses_text=False, needs_labels=True),
    "aligned": Arm("method", "our defaults: a reader's labels and alignment"),
    "reader": Arm("method", "the reader's labels alone, no alignment", {"objective": "none"}),
    "alignment": Arm("method", "alignment alone, no reader", {"reader": False}, needs_labels=True),
    "official": Arm("relative", "GPT4Image as published (arXiv 2306.00693), one process", OFFICIAL, needs_labels=True),
    "textteacher": Arm("relative", "TextTeacher as published (arXiv 2605.22098)", TEXTTEACHER, needs_labels=True),
    "self_training": Arm(
        "relative",
        "the image model's own predictions as further targets, no text",
        uses_text=False,
        needs_baseline=True,
        needs_labels=True,
    ),
    "llm_label": Arm(
        "relative", "the class that the multimodal LLM picked, no description", LLM_LABEL, uses_answers=True
    ),
    "label_text": Arm(
        "control",
        "the text of an image is its class name",
        LABEL_TEXT,
        needs_labels=True,
        finding="The class names alone do as much as the descriptions",
    ),
    "shuffled": Arm("control", "each image gets another image's description", {"shuffle_texts": True}),
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

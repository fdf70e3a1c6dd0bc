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
        needs_baseline: whether it learns from the baseline's predictions.
    """

    role: Literal["baseline", "method", "relative", "control"]
    explanation: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    uses_text: bool = True
    needs_baseline: bool = False


OFFICIAL = {
    "objective": "clip",
    "reader": False,
    "text_weight": 0.3,
    "temperature": 0.2,
    "projector": "mlp",
    "projector_std": 1024**-0.5,
}
TEXTTEACHER = {"objective": "textteacher", "reader": False, "text_weight": 0.5, "projector": "linear"}

ARMS = {
    BASELINE: Arm("baseline", "labels alone", uses_text=False),
    "aligned": Arm("method", "our defaults: a reader's labels and alignment"),
    "reader": Arm("method", "the reader's labels alone, no alignment", {"objective": "none"}),
    "alignment": Arm("method", "alignment alone, no reader", {"reader": False}),
    "official": Arm("relative", "GPT4Image as published (arXiv 2306.00693), one process", OFFICIAL),
    "textteacher": Arm("relative", "TextTeacher as published (arXiv 2605.22098)", TEXTTEACHER),
    "self_training": Arm(
        "relative",
        "the image model's own predictions as further targets, no text",
        uses_text=False,
        needs_baseline=True,
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

"""Which arms are trained in a situation, on which texts, and why the others are left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpt4image.compare.arms import Arm, find_arms
from gpt4image.compare.recipe import Recipe, Situation

NO_LABELS = "cannot train without labels"


@dataclass(frozen=True)
class Lineup:
    """A situation and its arms.

    Attributes:
        situation: it.
        arms: those that are trained, by name.
        prompts: whose descriptions they read.
        left_out: the others, and why.
        has_labels: whether any image has a label.
        has_all_labels: whether all labels are there and left as they are.
    """

    situation: Situation
    arms: Mapping[str, Arm]
    prompts: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    has_labels: bool = True
    has_all_labels: bool = True

    def explain_left_out(self) -> Iterator[str]:
        """One line a reason."""
        for reason in dict.fromkeys(self.left_out.values()):
            yield f"{', '.join(name for name, why in self.left_out.items() if why == reason)}: {reason}"


def wants_texts(recipe: Recipe) -> bool:
    """Whether any arm reads descriptions or picks."""
    return any(arm.uses_text for one in recipe.situations for arm in find_arms(list(one.arms or recipe.arms)).values())


def draw_up(recipe: Recipe, work: Path) -> list[Lineup]:
    """The line-up of each situation.

    Args:
        recipe: what is compared.
        work: folder of the descriptions; its store tells whether there are picks.
    """
    from gpt4image.images import UNLABELLED, open_images
    from gpt4image.label.witnesses.prompts import choose_prompts

    labelled = open_images(recipe.images).labels != UNLABELLED
    texts, picks = choose_prompts(work, None, None)
    lineups = []
    for situation in recipe.situations:
        has_labels = bool(labelled.any()) and situation.labels.get("keep_labels") != 0
        arms, left_out = find_arms(list(situation.arms or recipe.arms)), {}
        for name, arm in arms.items():
            if arm.needs_labels and not has_labels:
                left_out[name] = NO_LABELS
            elif arm.needs_picks and not picks:
                left_out[name] = (
                    f"left out, as {work} holds no picks (gpt4image describe IMAGES {work} --prompt pick_class)"
                )
        lineups.append(
            Lineup(
                situation,
                {name: arm for name, arm in arms.items() if name not in left_out},
                situation.prompts or tuple(texts),
                left_out,
                has_labels,
                bool(labelled.all()) and not situation.labels,
            )
        )
    return lineups

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
        prompts: whose descriptions they read; all of the store if empty.
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

    @property
    def uses_descriptions(self) -> bool:
        """Whether any arm reads them."""
        return any(arm.uses_text and not arm.uses_answers for arm in self.arms.values())

    def explain_left_out(self) -> Iterator[str]:
        """One line a reason."""
        for reason in dict.fromkeys(self.left_out.values()):
            yield f"{', '.join(name for name, why in self.left_out.items() if why == reason)}: {reason}"


def wants_texts(recipe: Recipe) -> bool:
    """Whether any arm reads descriptions or answers."""
    return any(arm.uses_text for one in recipe.situations for arm in find_arms(list(one.arms or recipe.arms)).values())


def draw_up(recipe: Recipe, work: Path) -> list[Lineup]:
    """The line-up of each situation.

    Args:
        recipe: what is compared.
        work: folder of the descriptions; its store tells whether there are answers.
    """
    from gpt4image.images import UNLABELLED, open_images

    labelled = open_images(recipe.images).labels != UNLABELLED
    prompts = _known_prompts(work)
    answers = [name for name in prompts if recipe.answers in (name, name.rpartition("@")[0])]
    others = tuple(name for name in prompts if name not in answers) if answers else ()
    lineups = []
    for situation in recipe.situations:
        changes = situation.labels_of(recipe.train)
        has_labels = bool(labelled.any()) and changes.get("keep_labels") != 0
        arms, left_out = find_arms(list(situation.arms or recipe.arms)), {}
        for name, arm in arms.items():
            if arm.needs_labels and not has_labels:
                left_out[name] = NO_LABELS
            elif arm.uses_answers and not answers:
                left_out[name] = (
                    f"left out, as {work} holds no answers to {recipe.answers} "
                    f"(gpt4image describe IMAGES {work} --prompt {recipe.answers})"
                )
        lineups.append(
            Lineup(
                situation,
                {name: arm for name, arm in arms.items() if name not in left_out},
                situation.prompts or others,
                left_out,
                has_labels,
                bool(labelled.all()) and not changes,
            )
        )
    return lineups


def _known_prompts(work: Path) -> list[str]:
    """Prompts with texts fit for use."""
    from gpt4image.describe.store.connect import FILE_NAME
    from gpt4image.describe.store.store import DescriptionStore

    if not (work / FILE_NAME).exists():
        return []
    with DescriptionStore.open(work) as store:
        return [name for name, count in store.prompts().items() if count]

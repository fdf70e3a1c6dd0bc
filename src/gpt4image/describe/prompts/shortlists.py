"""More classes than a describer can be shown at once: groups first, then one choice among their winners.

Two rounds need nothing but the describer itself, so that they work for an image that nothing is known about yet. Each
group is a prompt of its own, asked and kept like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from gpt4image.describe.prompts.fields import make_schema
from gpt4image.describe.prompts.parse import Prompt, short_hash
from gpt4image.describe.prompts.pick_names import SHORTLIST
from gpt4image.describe.prompts.presets import PICK_CLASS, PRESETS

MOST_LISTED = 60
"""Classes shown at once."""


def fit_to_classes(prompts: Sequence[Prompt], names: Mapping[str, str]) -> list[Prompt]:
    """The prompts as they are asked about these classes.

    Args:
        prompts: what is to be asked.
        names: what each class is called in prompts.

    Returns:
        the prompts, with schemas that name the classes; if a preset lists more than `MOST_LISTED`, the shortlists
        come first, and that preset waits for them.
    """
    if len(names) <= MOST_LISTED:
        return [replace(one, schema=make_schema(one.fields, names.values())) if one.fields else one for one in prompts]
    prompts = [replace(one, schema=make_schema(one.fields)) if one.fields else one for one in prompts]
    waiting = ["classes" in one.places and one.name.partition("@")[0] in PRESETS for one in prompts]
    shortlists = tuple(_make_shortlists(list(names))) if any(waiting) else ()
    fitted = [replace(one, shortlists=shortlists if waits else ()) for one, waits in zip(prompts, waiting, strict=True)]
    return [*shortlists, *fitted]


def _make_shortlists(classes: Sequence[str]) -> list[Prompt]:
    """One prompt a group; all groups are of about the same size."""
    number = -(-len(classes) // MOST_LISTED)
    bounds = [len(classes) * n // number for n in range(number + 1)]
    groups = [tuple(classes[start:end]) for start, end in pairwise(bounds)]
    # Of other classes a group is another prompt.
    return [Prompt(SHORTLIST + short_hash("\n".join(group)) + "@1", PICK_CLASS, choices=group) for group in groups]

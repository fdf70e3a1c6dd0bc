"""The winners of shortlists: the classes among which an image's class is picked when there are too many to list."""

import re
from collections.abc import Mapping, Sequence

from gpt4image.describe.prompts.parse import Prompt
from gpt4image.describe.store.states import SETTLED
from gpt4image.describe.store.store import DescriptionStore


def find_candidates(
    store: DescriptionStore, prompt: Prompt, describer: str, digests: Sequence[str], names: Mapping[str, str]
) -> dict[str, list[str]]:
    """The candidates of images whose shortlists are all answered; the others are left out.

    Args:
        store: has the answers.
        prompt: the prompt that waits for them.
        describer: who was asked.
        digests: of the images.
        names: what each class is called in prompts.
    """
    found: dict[str, list[str]] = {digest: [] for digest in digests}
    for shortlist in prompt.shortlists:
        answers = store.find(list(found), shortlist.name, describer)
        for digest in list(found):
            answer = answers.get(digest)
            if answer is None or answer.state not in SETTLED:
                del found[digest]
            else:
                found[digest] += find_named(answer.text, shortlist.choices, names)
    return found


def find_named(answer: str, classes: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """The classes that an answer names in words; a name within a longer one that is named, too, does not count."""
    plain = _plain(answer)
    by_name = {_plain(names[name]): name for name in classes}
    if plain in by_name:
        return [by_name[plain]]
    longest_first = sorted(filter(None, by_name), key=len, reverse=True)
    if not longest_first:
        return []
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")
    return [by_name[words] for words in dict.fromkeys(pattern.findall(plain))]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())

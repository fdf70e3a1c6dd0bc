"""Which of the stored prompts are witnesses: those read as descriptions, and those read as picks."""

from collections.abc import Sequence
from pathlib import Path

from gpt4image.describe.prompts.pick_names import PickNames, split_answers, with_companions
from gpt4image.describe.prompts.prompt_names import match_prompts


def choose_prompts(
    work: Path, texts: Sequence[str] | None, picks: Sequence[str] | None
) -> tuple[list[str], list[PickNames]]:
    """Which prompts are read as descriptions and which as picks; by their names where the user does not say.

    Args:
        work: the work folder.
        texts: prompts to read as descriptions; `()` for none, None for all that are no picks.
        picks: prompts to read as picks; `()` for none, None for all that are.

    Raises:
        DescriptionError: there are no answers to a prompt.
    """
    known = _list_stored(work)
    found_picks, found_texts = split_answers(known)
    if picks is not None:
        found_picks = [with_companions(name, known) for name in match_prompts(picks, known, work)]
    return found_texts if texts is None else match_prompts(texts, known, work), found_picks


def _list_stored(work: Path) -> list[str]:
    """Prompts with answers fit for use, none if nothing was described yet."""
    from gpt4image.describe.store.store import FILE_NAME, DescriptionStore

    if not (work / FILE_NAME).exists():
        return []
    with DescriptionStore.open(work) as store:
        return [name for name, count in store.prompts().items() if count]
